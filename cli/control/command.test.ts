import { describe, expect, test } from "vitest";

import { startApi, type ApiRequest, type ApiResponse, type TestApi } from "../kube.testing.ts";
import { styleFor } from "../terminal.ts";
import { controlCommand, type ControlFlags } from "./command.ts";
import { appObject, release, two, withCandidate, withFailure } from "./releases.testing.ts";
import type { Verb } from "./verbs.ts";

const idle = new AbortController().signal;

/** An API server that keeps annotations, and returns a status that may depend on them. */
function serve(
  statusOf: (annotations: Record<string, string>) => Parameters<typeof appObject>[0]["status"],
  annotations: Record<string, string> = {},
): (request: ApiRequest) => ApiResponse {
  return ({ line, body }) => {
    if (line.startsWith("PATCH")) {
      const { metadata } = body as { metadata: { annotations: Record<string, string | null> } };
      for (const [key, value] of Object.entries(metadata.annotations)) {
        if (value === null) delete annotations[key];
        else annotations[key] = value;
      }
    }
    return { status: 200, body: appObject({ status: statusOf(annotations) ?? {}, annotations }) };
  };
}

async function run(
  api: TestApi,
  verb: Verb,
  flags: Partial<ControlFlags> = {},
  named?: string,
  interactive = false,
  colours = false,
): Promise<{ code: number; out: string; err: string }> {
  let [out, err] = ["", ""];
  const terminal = {
    out: (text: string) => void (out += text),
    err: (text: string) => void (err += text),
    interactive,
    columns: 80,
    style: styleFor(colours),
  };
  const all = { wait: false, timeout: 60_000, output: "text" as const, ...flags };
  const target = { ...all, kubeconfig: api.kubeconfig };
  const code = await controlCommand(verb, "digits", named, target, terminal, Date.now, idle);
  return { code, out, err };
}

describe("a request", () => {
  test("is one merge patch of the annotation, by the field manager aiapp-cli", async () => {
    await using api = await startApi(serve(() => two));
    const { code, out } = await run(api, "rollback");
    expect(code).toBe(0);
    expect(api.received.filter(({ line }) => line.startsWith("PATCH"))).toEqual([
      {
        line: "PATCH /apis/aiapp.dev/v1alpha1/namespaces/shop/aiapps/digits?fieldManager=aiapp-cli",
        accept: expect.any(String),
        contentType: "application/merge-patch+json",
        body: { metadata: { annotations: { "aiapp.dev/hold": "1111111111" } } },
      },
    ]);
    expect(out).toContain("Requested that digits in shop runs release 1111111111");
    expect(out).toContain("It releases nothing else until: aiapp resume digits --namespace shop.");
    expect(out).toMatch(
      /The same with kubectl: kubectl annotate aiapp digits --namespace shop --kubeconfig \S+ aiapp\.dev\/hold=1111111111 --overwrite\n/,
    );
  });

  test("writes nothing the second time", async () => {
    await using api = await startApi(serve(() => two));
    await run(api, "rollback");
    const { code, out } = await run(api, "rollback");
    expect(code).toBe(0);
    expect(out).toContain("The annotation was so already.");
    expect(api.requests.filter((line) => line.startsWith("PATCH"))).toHaveLength(1);
  });

  test("removes an annotation", async () => {
    const annotations = { "aiapp.dev/hold": "1111111111" };
    await using api = await startApi(serve(() => two, annotations));
    const { out } = await run(api, "resume");
    expect(annotations).toEqual({});
    expect(out).toMatch(/ aiapp\.dev\/hold-\n/);
  });

  test("that is refused writes nothing", async () => {
    await using api = await startApi(serve(() => two));
    await expect(run(api, "abort")).rejects.toMatchObject({ code: "NothingToDo" });
    await expect(run(api, "release", {}, "1111111111")).rejects.toMatchObject({ code: "Usage" });
    expect(api.requests.filter((line) => line.startsWith("PATCH"))).toEqual([]);
  });

  test("that the API server forbids says which permission it needs", async () => {
    const forbidden = { status: 403, body: {} };
    const answer = serve(() => two);
    await using api = await startApi((request) =>
      request.line.startsWith("PATCH") ? forbidden : answer(request),
    );
    await expect(run(api, "hold")).rejects.toMatchObject({
      code: "ClusterAuthFailed",
      fix: expect.stringContaining("kubectl auth can-i patch aiapps.aiapp.dev --namespace shop"),
    });
  });

  test("is JSON on request, with the kubectl command", async () => {
    await using api = await startApi(serve(() => withFailure()));
    const { out } = await run(api, "retry", { output: "json" });
    expect(JSON.parse(out)).toMatchObject({
      name: "digits",
      namespace: "shop",
      command: "retry",
      release: "3333333333",
      changed: true,
      annotations: { "aiapp.dev/retry": expect.stringMatching(/^3333333333\/20/) },
      kubectl: expect.stringMatching(/^kubectl annotate aiapp digits/),
    });
  });
});

describe("--wait", () => {
  test("ends once status shows that the operator has acted", async () => {
    const rollingBack = { ...two, candidate: release("1", { phase: "RollingOut" }) };
    const answer = serve((notes) => ("aiapp.dev/hold" in notes ? rollingBack : two));
    await using api = await startApi(answer);
    const { code, out } = await run(api, "rollback", { wait: true });
    expect(code).toBe(0);
    expect(out).toContain("The operator has answered: release 1111111111");
  });

  test.each([true, false])(
    "exits with 4 when the operator has not acted in time; a terminal: %s",
    async (interactive) => {
      await using api = await startApi(serve(() => withCandidate("RollingOut")));
      const flags = { wait: true, timeout: 500 };
      const { code, err } = await run(api, "abort", flags, undefined, interactive);
      expect(code).toBe(4);
      expect(err).toContain("did not answer");
      expect(err.includes("\u001b[2K")).toBe(interactive);
    },
  );

  test("fails with the operator's own words when the operator cannot do it", async () => {
    const lastTransitionTime = "2026-01-02T09:00:00Z";
    const message =
      "the annotation aiapp.dev/hold names 1111111111: \u001b[2Jno release is recorded";
    const condition = { type: "Stalled", status: "True", reason: "HoldInvalid", message } as const;
    const status = { ...two, conditions: [{ ...condition, lastTransitionTime }] };
    await using api = await startApi(serve((notes) => ("aiapp.dev/hold" in notes ? status : two)));
    await expect(run(api, "rollback", { wait: true })).rejects.toMatchObject({
      code: "RequestRejected",
      message: expect.stringContaining("no release is recorded"),
    });
  });
});

test.each([true, false])("a reply cannot drive a terminal, with colours: %s", async (colours) => {
  const hostile = "\u001b[2J\u009b2J\u202e\r\nforged";
  const status = { ...two, previous: release("1", { image: hostile, imageTag: hostile }) };
  status.history = [release("2", { modelVersion: hostile }), status.previous];
  await using api = await startApi(serve(() => status));
  for (const output of ["text", "json"] as const) {
    const flags = { output, wait: true, timeout: 5 };
    const text = await run(api, "rollback", flags, undefined, false, colours);
    // eslint-disable-next-line no-control-regex
    const out = `${text.out}${text.err}`.replace(/\u001b\[(1|2|22|31|32|33|39)m/g, "");
    // eslint-disable-next-line no-control-regex
    expect(out).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]|\p{Bidi_Control}/u);
    expect(out).not.toMatch(/^forged/m);
  }
});
