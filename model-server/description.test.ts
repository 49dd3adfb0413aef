import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { ADD, get, send, tensor, type Answered } from "./infer.testing.ts";
import { startOn } from "./serve.testing.ts";
import type { Server } from "./server.ts";

describe("what the server says of itself", () => {
  let server: Server;
  let close: () => Promise<void>;
  beforeAll(async () => {
    ({ server, close } = await startOn(
      { "model.onnx": ADD },
      { MODEL_NAME: "add", MODEL_VERSION: "7" },
    ));
    await server.loaded;
  });
  afterAll(async () => close());

  test.each(["/v2", "/v2/"])("at %s: its name, version and extensions", async (path) => {
    expect(await get(server, path)).toEqual({
      status: 200,
      body: {
        name: "aiapp-model-server",
        version: expect.any(String),
        extensions: expect.arrayContaining(["binary_tensor_data", "statistics"]),
      },
    });
  });

  test.each(["/v2/models/add", "/v2/models/add/versions/7"])("at %s: the model", async (path) => {
    const port = (name: string): object => ({ name, datatype: "FP32", shape: [-1, 3] });
    expect(await get(server, path)).toEqual({
      status: 200,
      body: {
        name: "add",
        versions: ["7"],
        platform: "onnxruntime_onnx",
        inputs: [port("a"), port("b")],
        outputs: [port("sum"), port("copy")],
      },
    });
    expect(await get(server, `${path}/ready`)).toEqual({
      status: 200,
      body: { name: "add", ready: true },
    });
    expect(await get(server, `${path}/config`)).toMatchObject({
      status: 200,
      body: {
        max_batch_size: 64,
        input: [{ name: "a", data_type: "TYPE_FP32", dims: [3] }, { name: "b" }],
      },
    });
  });

  test.each(["", "/ready", "/config", "/stats"])(
    "of another model or version%s: 404",
    async (path) => {
      expect(await get(server, `/v2/models/other${path}`)).toMatchObject({ status: 404 });
      expect(await get(server, `/v2/models/add/versions/8${path}`)).toMatchObject({ status: 404 });
    },
  );

  test("in statistics and metrics: requests, rows, runs and how long they took", async () => {
    const rows = (count: number): object[] =>
      ["a", "b"].map((name) => tensor(name, "FP32", [count, 3], Array(3 * count).fill(0)));
    for (const count of [1, 2, 2])
      await send(server, JSON.stringify({ inputs: rows(count) }), {}, "/v2/models/add/infer");
    await send(server, "{}", {}, "/v2/models/add/infer");
    const { body } = await get(server, "/v2/models/add/stats");
    const duration = (count: number): object => ({ count, ns: expect.any(Number) });
    expect(body).toMatchObject({
      model_stats: [
        {
          name: "add",
          version: "7",
          last_inference: expect.any(Number),
          inference_count: 5,
          // One warmed the model up.
          execution_count: 4,
          inference_stats: {
            success: duration(3),
            fail: duration(1),
            queue: duration(3),
            compute_input: duration(3),
            compute_infer: duration(3),
            compute_output: duration(3),
          },
          batch_stats: [
            { batch_size: 1, compute_infer: duration(2) },
            { batch_size: 2, compute_infer: duration(2) },
          ],
        },
      ],
    });
    const response = await fetch(`http://127.0.0.1:${server.metricsPort}/metrics`);
    const text = await response.text();
    const labels = '{model="add",version="7"}';
    for (const line of [
      `nv_inference_request_success${labels} 3`,
      `nv_inference_count${labels} 5`,
      `nv_inference_exec_count${labels} 4`,
      `aiapp_run_rows_count${labels} 4`,
      `aiapp_run_rows_sum${labels} 6`,
      `aiapp_queue_seconds_count${labels} 4`,
    ])
      expect(text).toContain(`${line}\n`);
    for (const name of ["request", "queue", "compute_input", "compute_infer", "compute_output"])
      expect(text).toMatch(new RegExp(`^nv_inference_${name}_duration_us\\{.*\\} \\d+$`, "m"));
  });

  test("in the repository's index, which cannot be changed", async () => {
    const post = async (path: string, body = "{}"): Promise<Answered> =>
      send(server, body, {}, path);
    for (const body of ["", "{}", '{"ready": true}'])
      expect(await post("/v2/repository/index", body)).toMatchObject({
        status: 200,
        body: [{ name: "add", version: "7", state: "READY", reason: "" }],
      });
    for (const body of ["[", "[]", '{"ready": 1}'])
      expect(await post("/v2/repository/index", body)).toMatchObject({ status: 400 });
    for (const action of ["load", "unload"])
      expect(await post(`/v2/repository/models/add/${action}`)).toMatchObject({ status: 400 });
  });
});
