import { join } from "node:path";

import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { startOn } from "../../model-server/serve.testing.ts";
import { findPython, pythonWith } from "../support/python.ts";
import { TRITONCLIENT } from "../support/tritonclient.ts";
import { allSame, identityOf, names, types } from "./every-datatype.ts";

/** Triton's own Python client, in all its modes, against the server. */

const INSTALL_MS = 600_000;

const python = await findPython();
const reason = python === undefined ? " (skipped: python3 with venv is not installed)" : "";

describe.skipIf(python === undefined)(`tritonclient${reason}`, () => {
  let close: (() => Promise<void>) | undefined;
  let found: Readonly<Record<string, unknown>> = {};

  beforeAll(async () => {
    const started = await startOn(
      { "model.onnx": identityOf(), "labels.txt": "first\nsecond\n" },
      { MODEL_NAME: "every", MODEL_VERSION: "7", GRPC_PORT: "0" },
    );
    ({ close } = started);
    const { server } = started;
    await server.loaded;
    const { stdout } = await execa(
      await pythonWith(TRITONCLIENT),
      [
        join(import.meta.dirname, "oip.py"),
        `127.0.0.1:${server.port}`,
        `127.0.0.1:${server.grpcPort}`,
      ],
      // Nothing between the client and the server.
      { env: { no_proxy: "*", NO_PROXY: "*", PYTHONDONTWRITEBYTECODE: "1" } },
    );
    found = JSON.parse(stdout) as typeof found;
  }, INSTALL_MS);
  afterAll(async () => close?.());

  const same = allSame();
  const model = {
    name: "every",
    versions: ["7"],
    platform: "onnxruntime_onnx",
    inputs: names.map((name) => ({ name: `in_${name}`, datatype: types[name] })),
    outputs: names.map((name) => ({ name: `out_${name}`, datatype: types[name] })),
  };
  const ports = (side: "in" | "out"): object[] =>
    names.map((name) => ({
      name: `${side}_${name}`,
      data_type: `TYPE_${name === "string" ? "STRING" : types[name]}`,
    }));

  test("finds the server and its model over HTTP", () => {
    expect(found["http"]).toMatchObject({
      live: true,
      ready: true,
      modelReady: true,
      versionReady: true,
      otherReady: false,
      server: { name: "aiapp-model-server", extensions: expect.arrayContaining(["statistics"]) },
      model,
      config: { name: "every", max_batch_size: 64, input: ports("in"), output: ports("out") },
      index: [{ name: "every", version: "7", state: "READY" }],
    });
  });

  test.each(["binary", "json", "mixed", "gzip", "deflate", "async"])(
    "gets every datatype back over HTTP, by %s",
    (mode) => {
      expect(found["http"]).toMatchObject({ [mode]: same });
    },
  );

  test("gets its id, the version, and classes over HTTP", () => {
    expect(found["http"]).toMatchObject({
      id: "17",
      version: "7",
      classes: ["2147483647:1", "2:1"],
    });
  });

  test("gets errors over HTTP that it can show", () => {
    expect(found["http"]).toMatchObject({
      otherModel: { status: "404", message: 'there is no model "other": this server has every' },
      load: { status: "400", message: expect.stringMatching(/^this server has one model/) },
      unload: { status: "400" },
      missing: { status: "400", message: expect.stringMatching(/^the input in_string is missing/) },
      sequence: { status: "400", message: expect.stringMatching(/^sequences are not supported/) },
    });
  });

  test("reads statistics over HTTP", () => {
    const statistics = {
      model_stats: [
        {
          name: "every",
          version: "7",
          inference_stats: { success: { count: 7 }, fail: { count: 2 } },
        },
      ],
    };
    expect(found["http"]).toMatchObject({ statistics, allStatistics: statistics });
  });

  test("gets every datatype back over HTTP from asyncio, eight at once", () => {
    expect(found["httpAio"]).toMatchObject({
      ready: true,
      many: Array(8).fill(same),
      gzip: same,
    });
  });

  test("finds the server and its model over gRPC", () => {
    expect(found["grpc"]).toMatchObject({
      live: true,
      ready: true,
      modelReady: true,
      versionReady: true,
      server: { name: "aiapp-model-server", extensions: expect.arrayContaining(["statistics"]) },
      model,
      config: {
        config: { name: "every", max_batch_size: 64, input: ports("in"), output: ports("out") },
      },
      index: { models: [{ name: "every", version: "7", state: "READY" }] },
    });
  });

  test.each(["raw", "outputs", "gzip", "deflate"])(
    "gets every datatype back over gRPC, by %s",
    (mode) => {
      expect(found["grpc"]).toMatchObject({ [mode]: same });
    },
  );

  test("gets its id, the version, and classes over gRPC", () => {
    expect(found["grpc"]).toMatchObject({
      id: "17",
      version: "7",
      classes: ["2147483647:1", "2:1"],
    });
  });

  test("gets errors over gRPC with the status of each", () => {
    expect(found["grpc"]).toMatchObject({
      otherModel: { status: "StatusCode.NOT_FOUND" },
      load: { status: "StatusCode.UNIMPLEMENTED" },
      missing: {
        status: "StatusCode.INVALID_ARGUMENT",
        message: expect.stringMatching(/^the input in_string is missing/),
      },
      sequence: { status: "StatusCode.UNIMPLEMENTED" },
      contents: 'the input "in_half" is FP16, which has no contents: send raw_input_contents',
    });
  });

  test("is answered on a stream in order, also after a request that fails", () => {
    expect(found["grpc"]).toMatchObject({
      stream: [["1", same], expect.stringMatching(/^the input in_string is missing/), ["3", same]],
    });
  });

  test("gets every datatype back over gRPC from asyncio, eight at once", () => {
    expect(found["grpcAio"]).toMatchObject({ ready: true, many: Array(8).fill(same) });
  });
});
