import { readFile } from "node:fs/promises";
import { join } from "node:path";

import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { startOn } from "../../model-server/serve.testing.ts";
import { pythonFor, versionOf } from "../peers/python.ts";
import { findPython } from "../support/python.ts";
import { allSame, identityOf, names } from "./every-datatype.ts";

/** KServe's own Python clients against the server, of the packages that `npm run differential` runs KServe's server with. */

const INSTALL_MS = 600_000;

const python = await findPython();
const reason = python === undefined ? " (skipped: python3 with venv is not installed)" : "";
const withoutHalves = names.filter((name) => name !== "half");

describe.skipIf(python === undefined)(`the client of kserve${reason}`, () => {
  const closing: (() => Promise<void>)[] = [];
  let found: Readonly<Record<string, unknown>> = {};

  async function serving(model: Buffer): Promise<readonly [http: string, grpc: string]> {
    const { server, close } = await startOn(
      { "model.onnx": model },
      { MODEL_NAME: "every", MODEL_VERSION: "7", GRPC_PORT: "0" },
    );
    closing.push(close);
    await server.loaded;
    return [`http://127.0.0.1:${server.port}`, `127.0.0.1:${server.grpcPort}`];
  }

  beforeAll(async () => {
    const [http, grpc] = await serving(identityOf());
    const [, other] = await serving(identityOf(withoutHalves));
    const { stdout } = await execa(
      await pythonFor("kserve"),
      [join(import.meta.dirname, "kserve_client.py"), http, grpc, other],
      // Nothing between the client and the server.
      { env: { no_proxy: "*", NO_PROXY: "*", PYTHONDONTWRITEBYTECODE: "1" } },
    );
    found = JSON.parse(stdout) as typeof found;
  }, INSTALL_MS);
  afterAll(async () => {
    for (const close of closing) await close();
  });

  const same = allSame();

  test("finds the server and its model over REST, and no other model", () => {
    expect(found["http"]).toMatchObject({
      live: true,
      ready: true,
      modelReady: true,
      otherReady: false,
    });
  });

  test.each([
    ["JSON", "json", false],
    ["raw inputs and JSON outputs", "rawInputs", false],
    ["JSON inputs and raw outputs", "rawOutputs", true],
    ["raw inputs and outputs", "allRaw", true],
  ])("gets every datatype back over REST, by %s", (_, mode, isRaw) => {
    expect(found["http"]).toMatchObject({ [mode]: { same, isRaw, version: "7" } });
  });

  test("gets its id over REST, and eight answers at once", () => {
    expect(found["http"]).toMatchObject({
      json: { id: "17" },
      many: Array(8).fill(expect.objectContaining({ same })),
    });
  });

  test("shows the status and the message of errors over REST", () => {
    expect(found["http"]).toMatchObject({
      otherModel: {
        status: 404,
        error: 'there is no model "other": this server has every',
        shown: expect.stringMatching(/^there is no model "other".*'404 Not Found'/),
      },
      missing: {
        status: 400,
        error: expect.stringMatching(/^the input in_string is missing/),
        shown: expect.stringMatching(/^the input in_string is missing.*'400 Bad Request'/),
      },
    });
  });

  test("finds the server and its model over gRPC", () => {
    expect(found["grpc"]).toMatchObject({ live: true, ready: true, modelReady: true });
  });

  test.each([
    ["raw", "raw"],
    ["raw, of outputs that it names", "outputs"],
    ["raw, of a version that it names", "ofVersion"],
  ])("gets every datatype back over gRPC, %s", (_, mode) => {
    expect(found["grpc"]).toMatchObject({ [mode]: same });
  });

  test("gets every datatype but FP16 back over gRPC from typed contents", () => {
    expect(found["grpc"]).toMatchObject({ contents: allSame(withoutHalves) });
  });

  test("gets its id and the version over gRPC, and eight answers at once", () => {
    expect(found["grpc"]).toMatchObject({ id: "17", version: "7", many: Array(8).fill(same) });
  });

  test("gets errors over gRPC with the status of each", () => {
    expect(found["grpc"]).toMatchObject({
      otherModel: {
        status: "StatusCode.NOT_FOUND",
        message: 'there is no model "other": this server has every',
      },
      missing: {
        status: "StatusCode.INVALID_ARGUMENT",
        message: expect.stringMatching(/^the input in_string is missing/),
      },
    });
  });
});

test("the documentation has the version of kserve that is tested", async () => {
  const docs = join(import.meta.dirname, "..", "..", "docs", "model-server.md");
  expect(await readFile(docs, "utf8")).toContain(
    `\`kserve\` ${await versionOf("kserve")}: \`InferenceRESTClient\``,
  );
});
