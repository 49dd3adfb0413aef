import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

import { afterEach, beforeEach, describe, expect, it, test } from "vitest";

import { freePort, startService, type ServiceProcess } from "../support/process.ts";

/** How a release is verified, with the real model server and the bundles of examples/. */

const root = join(import.meta.dirname, "../..");
const models = join(root, "examples");
const DIGITS_1 = join(models, "digits/models/1");
const DIGITS_2 = join(models, "digits/models/2");
const IRIS = join(models, "iris/models/1.0.0");

let folder: string;
let server: ServiceProcess | undefined;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "aiapp-verify-"));
});
afterEach(async () => {
  await server?.close();
  server = undefined;
  await rm(folder, { recursive: true });
});

/** Listens; it may not be ready yet. */
async function serve(bundle: string): Promise<string> {
  const port = await freePort();
  server = await startService(
    [process.execPath, join(root, "model-server/main.ts")],
    { host: "127.0.0.1", port },
    {
      MODEL_DIR: bundle,
      HOST: "127.0.0.1",
      PORT: String(port),
      METRICS_PORT: "0",
      WORKERS: "1",
      DRAIN_QUIET_SECONDS: "0",
    },
  );
  return `http://127.0.0.1:${port}`;
}

/** @returns the exit code and the termination message */
async function verify(origin: string, bundle: string): Promise<readonly [unknown, string]> {
  const termination = join(folder, "termination");
  const code = await promisify(execFile)(
    process.execPath,
    [join(root, "operator/verify/main.ts")],
    {
      env: {
        MODEL_DIR: bundle,
        READY_URL: `${origin}/v2/health/ready`,
        SCORE_URL: `${origin}/score`,
        TERMINATION_LOG: termination,
      },
    },
  ).then(
    () => 0,
    (error: unknown) => Reflect.get(Object(error), "code"),
  );
  return [code, await readFile(termination, "utf8")];
}

describe("the model server", () => {
  test.each([
    ["1 of digits", DIGITS_1, /^Verified: 2 samples passed in \d+ ms$/],
    ["2 of digits", DIGITS_2, /^Verified: 2 samples passed in \d+ ms$/],
    ["1.0.0 of iris", IRIS, /^Verified: 1 sample passed in \d+ ms$/],
  ])("is verified by the samples of its own bundle: version %s", async (_, bundle, message) => {
    expect(await verify(await serve(bundle), bundle)).toEqual([0, expect.stringMatching(message)]);
  });

  it("fails the verification by the samples of another version", async () => {
    expect(await verify(await serve(DIGITS_1), DIGITS_2)).toEqual([
      1,
      expect.stringMatching(
        /^VerificationFailed: samples\/1\.json: result\[0\]\[0\]\[0\]\[1\]: expected [\d.]+ ± 0\.01, got [\d.]+; correct/,
      ),
    ]);
  });

  it("fails the verification by the samples of another model, and says why it rejects them", async () => {
    expect(await verify(await serve(IRIS), DIGITS_1)).toEqual([
      1,
      expect.stringMatching(
        /^VerificationFailed: samples\/1\.json: the server responded 400: .*this model takes numbers of shape .*; read the log/,
      ),
    ]);
  });
});
