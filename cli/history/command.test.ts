import { describe, expect, test } from "vitest";

import {
  appObject,
  release,
  two,
  withCandidate,
  withFailure,
} from "../control/releases.testing.ts";
import { startApi, type ApiResponse, type TestApi } from "../kube.testing.ts";
import { styleFor } from "../terminal.ts";
import { historyCommand } from "./command.ts";

const idle = new AbortController().signal;
const now = Date.parse("2026-01-02T04:00:00Z");

const journals: Record<string, unknown> = {
  "3333333333": [
    { phase: "Verifying", at: "2026-01-02T03:00:00.000Z" },
    {
      phase: "Failed",
      at: "2026-01-02T03:00:42.000Z",
      reason: "VerificationFailed",
      message: "samples/1.json: expected 1, got 2",
      blame: "model",
    },
  ],
};

/** An AIApp, and the records of its releases; undefined: they are forbidden. */
async function apiOf(
  parts: Parameters<typeof appObject>[0],
  records: Record<string, unknown> | undefined,
): Promise<TestApi> {
  const items = Object.entries(records ?? {}).map(([id, journal]) => ({
    metadata: {
      labels: { "aiapp.dev/release": id },
      annotations: { "aiapp.dev/journal": JSON.stringify(journal) },
    },
  }));
  return startApi(({ line }): ApiResponse => {
    if (!line.includes("controllerrevisions")) return { status: 200, body: appObject(parts) };
    return records === undefined ? { status: 403, body: {} } : { status: 200, body: { items } };
  });
}

async function history(
  api: TestApi,
  output: "text" | "json" = "text",
  named?: string,
  colours = false,
): Promise<string> {
  let out = "";
  const terminal = {
    out: (text: string) => void (out += text),
    err: () => {},
    interactive: false,
    columns: 80,
    style: styleFor(colours),
  };
  const flags = { kubeconfig: api.kubeconfig, output };
  await historyCommand("digits", named, flags, terminal, () => now, idle);
  return out;
}

describe("aiapp history", () => {
  test("is a table of releases, newest first, with the phases of each below it", async () => {
    await using api = await apiOf({ status: withFailure() }, journals);
    expect(await history(api)).toBe(`\
   RELEASE     PHASE     SINCE  TAG  IMAGE         MODEL  DIGEST        BY  REASON
   3333333333  Failed    1h     1    0123456789ab  3      3123456789ab  -   VerificationFailed
*  2222222222  Released  2h     1    0123456789ab  2      2123456789ab  -   -
   1111111111  Released  3h     1    0123456789ab  1      1123456789ab  -   -
* is the current release, + is the candidate

3333333333
  2026-01-02T03:00:00.000Z  Verifying  42s
  2026-01-02T03:00:42.000Z  Failed             VerificationFailed, blame: model
      samples/1.json: expected 1, got 2
`);
  });

  test("reads the records' metadata alone, by the label of the app", async () => {
    await using api = await apiOf({ status: two }, {});
    await history(api);
    const list = api.received.find(({ line }) => line.includes("controllerrevisions"));
    expect(list).toMatchObject({
      line: "GET /apis/apps/v1/namespaces/shop/controllerrevisions?labelSelector=aiapp.dev%2Fapp%3Ddigits&limit=200",
      accept: "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
    });
  });

  test("marks the candidate, who asked for a release, and a hold", async () => {
    const status = withCandidate("RollingOut");
    const candidate = { ...status.candidate, by: "aiapp-cli at 2026-01-02T03:00:00Z" };
    const shown = {
      ...status,
      candidate,
      history: [candidate, ...(status.history ?? []).slice(1)],
    };
    const annotations = { "aiapp.dev/hold": candidate.id };
    await using api = await apiOf({ status: shown, annotations }, {});
    const text = await history(api);
    expect(text).toMatch(
      /^\+ {2}3333333333 {2}RollingOut .* aiapp-cli at 2026-01-02T03:00:00Z {2}-$/m,
    );
    expect(text).toContain("release 3333333333 is held");
  });

  test("shows status alone, and says so, when the records are forbidden", async () => {
    await using api = await apiOf({ status: two }, undefined);
    const text = await history(api);
    expect(text).toContain("2222222222");
    expect(text).toContain("you may not list controllerrevisions.apps in shop");
    expect(JSON.parse(await history(api, "json"))).toMatchObject({ journals: "forbidden" });
  });

  test("shows one release alone, which has to be known", async () => {
    await using api = await apiOf({ status: withFailure() }, journals);
    const text = await history(api, "text", "3333333333");
    expect(text).toContain("Verifying");
    expect(text).not.toContain("2222222222");
    await expect(history(api, "text", "nonesuch")).rejects.toMatchObject({
      code: "ReleaseUnknown",
    });
  });

  test("is JSON on request: whole digests, and the journal with milliseconds", async () => {
    await using api = await apiOf({ status: withFailure() }, journals);
    const shown = JSON.parse(await history(api, "json"));
    expect(shown).toMatchObject({
      name: "digits",
      namespace: "shop",
      current: "2222222222",
      previous: "1111111111",
      journals: "shown",
    });
    expect(shown.releases[0]).toMatchObject({
      imageDigest: expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
      journal: [{ phase: "Verifying", durationMs: 42_000 }, { blame: "model" }],
    });
  });

  test("says that an app has no release yet", async () => {
    await using api = await apiOf({}, {});
    expect(await history(api)).toBe("digits has no release yet\n");
  });

  test.each([true, false])("cannot drive a terminal, with colours: %s", async (colours) => {
    const hostile = "\u001b[2J\u001b[31m\u009b2J\u202e\r\nforged";
    const fields = ["image", "imageTag", "imageDigest", "modelVersion", "modelDigest", "since"];
    const poison = (names: readonly string[]): Record<string, string> =>
      Object.fromEntries(names.map((name) => [name, hostile]));
    const both = ["by", "reason", "message"];
    const status = { ...two, history: [release("2", poison([...fields, ...both]))] };
    const entry = poison(["phase", "at", "blame", ...both]);
    await using api = await apiOf({ status }, { "2222222222": [entry, entry] });
    for (const output of ["text", "json"] as const) {
      const text = await history(api, output, undefined, colours);
      // Only our own styles are left, and they are not red.
      // eslint-disable-next-line no-control-regex
      const unstyled = text.replace(/\u001b\[(1|2|22|33|39)m/g, "");
      expect(unstyled === text).toBe(output === "json" || !colours);
      // eslint-disable-next-line no-control-regex
      expect(unstyled).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]|\p{Bidi_Control}/u);
      expect(unstyled).not.toMatch(/^forged/m);
    }
  });
});
