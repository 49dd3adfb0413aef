import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { EVENT_TYPE, ReleaseEvent } from "../../crds/notification.ts";
import { requestFor } from "./request.ts";

const release = {
  id: "3fa9c1d2e4",
  image: "contoso.azurecr.io/cats:1.4",
  imageDigest: `sha256:${"a".repeat(64)}`,
  modelVersion: "7",
  modelDigest: `sha256:${"b".repeat(64)}`,
};
const event: ReleaseEvent = {
  specversion: "1.0",
  id: "3fa9c1d2e4-1772352000000",
  source: "/apis/aiapp.dev/v1alpha1/namespaces/shop/aiapps/cats",
  type: EVENT_TYPE,
  subject: release.id,
  time: "2026-03-01T08:00:00.000Z",
  datacontenttype: "application/json",
  data: {
    app: { namespace: "shop", name: "cats" },
    release,
    phase: "Failed",
    before: { ...release, id: "0123456789", modelVersion: "6" },
    changed: ["model"],
    reason: "PodCrashing",
    message: "exit status 1",
    summary: "AIApp shop/cats: release 3fa9c1d2e4 (model version 7) has failed",
  },
};
const url = new URL("https://hooks.example.com/secret");

/** Every text with markup that a message of this type would have. */
function runsOf(value: unknown, type: "Slack" | "Teams"): readonly string[] {
  if (Array.isArray(value)) return value.flatMap((one) => runsOf(one, type));
  if (typeof value !== "object" || value === null) return [];
  const own = "type" in value ? String(value.type) : "";
  const isPlain = own === (type === "Slack" ? "plain_text" : "TextRun");
  return Object.entries(value).flatMap(([key, child]) =>
    key === "text" && typeof child === "string" && !isPlain ? [child] : runsOf(child, type),
  );
}

describe("the request of a notification", () => {
  it("of type Generic is a CloudEvent with the token of the Secret", () => {
    const { headers, body } = requestFor("Generic", event, url, "s3cret");
    expect(headers).toMatchObject({
      "content-type": "application/cloudevents+json",
      authorization: "Bearer s3cret",
    });
    expect(ReleaseEvent.parse(JSON.parse(body))).toEqual(event);
  });

  it.each(["Slack", "Teams"] as const)("of type %s has no token", (type) => {
    const { headers, body } = requestFor(type, event, url, "s3cret");
    expect(JSON.stringify([headers, body])).not.toContain("s3cret");
  });

  it.each(["Generic", "Slack", "Teams"] as const)(
    "of type %s has the same key when it is sent again",
    (type) => {
      const key = requestFor(type, event, url, undefined).headers["idempotency-key"];
      expect(key).toBe(
        "/apis/aiapp.dev/v1alpha1/namespaces/shop/aiapps/cats/3fa9c1d2e4-1772352000000",
      );
    },
  );

  it("of type Teams is one Adaptive Card that says what has failed", () => {
    const { body } = requestFor("Teams", event, url, undefined);
    expect(JSON.parse(body)).toMatchObject({
      type: "message",
      attachments: [
        {
          contentType: "application/vnd.microsoft.card.adaptive",
          content: { type: "AdaptiveCard", version: "1.4" },
        },
      ],
    });
    for (const part of [event.data.summary, "7 (was 6)", "PodCrashing", "exit status 1"])
      expect(body).toContain(part);
  });

  it.each(["Slack", "Teams"] as const)(
    "of type %s is bounded, and shows what a container printed without markup",
    (type) => {
      fc.assert(
        fc.property(fc.string({ unit: "binary", maxLength: 5000 }), (text) => {
          const message = `<!channel> [x](https://evil.example) ${text}`;
          const data = { ...event.data, message, summary: "<!channel>" };
          const { body } = requestFor(type, { ...event, data }, url, undefined);
          expect(Buffer.byteLength(body)).toBeLessThan(20_000);
          const marked = runsOf(JSON.parse(body), type);
          expect(marked.filter((one) => /[<[]/.test(one))).toEqual([]);
        }),
      );
    },
  );
});
