import { expect, test } from "vitest";

import type { TestApi } from "../kube.testing.ts";
import { startApi } from "../kube.testing.ts";
import { styleFor } from "../terminal.ts";
import { statusCommand } from "./command.ts";

const idle = new AbortController().signal;

function found(ready: "True" | "False", message = "exit 1"): TestApi["response"] {
  const lastTransitionTime = "2026-01-02T00:00:00Z";
  const status = {
    observedGeneration: 1,
    conditions: [
      {
        type: "Ready",
        status: ready,
        reason: "PodCrashing",
        message,
        lastTransitionTime,
      },
    ],
  };
  const body = {
    apiVersion: "aiapp.dev/v1alpha1",
    kind: "AIApp",
    metadata: { name: "digits", namespace: "shop", uid: "u", generation: 1 },
    spec: {
      image: "contoso.azurecr.io/digits:1",
      modelVersion: 1,
      model: { store: "https://contoso.blob.core.windows.net/models", name: "digits" },
    },
    status,
  };
  return { status: 200, body };
}

async function status(
  api: TestApi,
  flags: { watch?: boolean; output?: "text" | "json" } = {},
  signal = idle,
  onOut: (written: string) => void = () => {},
): Promise<{ code: number | undefined; written: string }> {
  let written = "";
  const terminal = {
    out: (text: string) => {
      written += text;
      onOut(written);
    },
    err: () => {},
    interactive: false,
    columns: 80,
    style: styleFor(false),
  };
  const all = { kubeconfig: api.kubeconfig, watch: false, output: "text" as const, ...flags };
  const run = statusCommand("digits", all, terminal, () => Date.UTC(2026, 0, 2), signal);
  const code = await run.catch((error: unknown) => {
    if (!signal.aborted) throw error;
    return undefined;
  });
  return { code, written };
}

test("the exit status is 0 for a ready app and 3 for any other", async () => {
  await using api = await startApi(found("True"));
  expect(await status(api)).toMatchObject({ code: 0, written: expect.stringContaining("Ready") });
  api.response = found("False");
  expect(await status(api)).toMatchObject({ code: 3 });
});

test("the JSON output has a hint for each problem", async () => {
  await using api = await startApi(found("False"));
  const { written } = await status(api, { output: "json" });
  expect(JSON.parse(written)).toMatchObject({
    name: "digits",
    ready: false,
    upToDate: true,
    problems: [{ reason: "PodCrashing", hint: expect.stringContaining("kubectl logs") }],
  });
});

test("the JSON output escapes characters that drive a terminal, and keeps their value", async () => {
  const message = "\u001b[2J\u009b2J\u202e";
  await using api = await startApi(found("False", message));
  const { written } = await status(api, { output: "json" });
  // eslint-disable-next-line no-control-regex
  expect(written).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]|\p{Bidi_Control}/u);
  expect(JSON.parse(written)).toMatchObject({ problems: [{ message }] });
});

test("an object that does not match the schema is an error", async () => {
  await using api = await startApi({ status: 200, body: { kind: "AIApp" } });
  await expect(status(api)).rejects.toMatchObject({ code: "AppUnreadable" });
});

test("a watch shows each change once, and survives an API server that is unavailable", async () => {
  await using api = await startApi(found("False"));
  const stop = new AbortController();
  const { written } = await status(api, { watch: true }, stop.signal, (text) => {
    if (text.includes("did not answer")) api.response = found("True");
    else if (text.includes("not ready")) api.response = "cut";
    if (text.includes("digits in shop: Ready")) stop.abort();
  });
  expect(written.match(/^---/gm)).toHaveLength(3);
});
