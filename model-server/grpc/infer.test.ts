import { status } from "@grpc/grpc-js";
import { describe, expect, onTestFinished, test } from "vitest";

import { floats, identity, infer as inferHttp, serving, tensor } from "../infer.testing.ts";
import type { Server } from "../server.ts";
import { call, connectTo, inference } from "./client.testing.ts";

const message = {
  model_name: "model",
  inputs: [{ name: "x", datatype: "FP32", shape: [1, 2] }],
  raw_input_contents: [floats(1, 2)],
};

async function start(): Promise<Server> {
  return serving(identity("float"), { GRPC_PORT: "0" });
}

describe("a request with a sequence id", () => {
  test.each<[string, object, unknown, number, number]>([
    ["0", { int64_param: "0" }, 0, status.OK, 200],
    ["0, unsigned", { uint64_param: "0" }, 0, status.OK, 200],
    ["of empty text", { string_param: "" }, "", status.OK, 200],
    ["1", { int64_param: "1" }, 1, status.UNIMPLEMENTED, 400],
    ["of text", { string_param: "a" }, "a", status.UNIMPLEMENTED, 400],
    ["of another type", { bool_param: false }, false, status.UNIMPLEMENTED, 400],
  ])(
    "%s belongs to a sequence unless it is Triton's for none",
    async (_, param, id, code, http) => {
      const server = await start();
      const sent = { ...message, parameters: { sequence_id: param } };
      expect((await call(connectTo(server), inference, "ModelInfer", sent)).code).toBe(code);
      const body = {
        parameters: { sequence_id: id },
        inputs: [tensor("x", "FP32", [1, 2], [1, 2])],
      };
      expect((await inferHttp(server, body)).status).toBe(http);
    },
  );
});

interface StreamAnswer {
  readonly error_message?: string;
  readonly infer_response?: { readonly id?: string; readonly model_name?: string };
}

/** The answers to these messages on one stream. */
async function stream(
  server: Server,
  messages: readonly object[],
): Promise<readonly StreamAnswer[]> {
  const method = inference["ModelStreamInfer"];
  if (method === undefined) throw new Error("there is no ModelStreamInfer");
  const calls = connectTo(server).makeBidiStreamRequest(
    method.path,
    (value: object) => (Buffer.isBuffer(value) ? value : method.requestSerialize(value)),
    method.responseDeserialize as (bytes: Buffer) => StreamAnswer,
  );
  onTestFinished(() => calls.cancel());
  for (const one of messages) calls.write(one);
  calls.end();
  const answers: StreamAnswer[] = [];
  for await (const answer of calls) answers.push(answer as StreamAnswer);
  return answers;
}

test("an error on a stream names the request that it answers", async () => {
  const server = await start();
  const answers = await stream(server, [
    { ...message, id: "good" },
    { ...message, id: "bad", inputs: [] },
    Buffer.from([0xff]),
    { ...message, id: "last" },
  ]);
  expect(answers).toMatchObject([
    { infer_response: { id: "good", model_name: "model" } },
    { infer_response: { id: "bad" }, error_message: expect.stringMatching(/raw_input_contents/) },
    { error_message: expect.stringMatching(/^the message is not/) },
    { infer_response: { id: "last", model_name: "model" } },
  ]);
});
