import { once } from "node:events";
import { connect, constants, type ClientHttp2Session, type IncomingHttpHeaders } from "node:http2";
import { join } from "node:path";

import { status, type ServiceDefinition } from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import * as fc from "fast-check";

import { leakOf } from "../fuzz-answers.testing.ts";
import { mutated } from "../fuzz.testing.ts";

/** Malformed calls of gRPC, as bytes on a stream of HTTP/2, and what every answer must hold to. */

export interface FuzzCall {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Frames of messages: a flag, four bytes of length, the message. */
  readonly body: Buffer;
}

export interface FuzzStatus {
  /** Of gRPC; undefined where the answer is one of HTTP alone. */
  readonly code: number | undefined;
  readonly http: number;
  readonly message: string;
}

const SERVICE = "/inference.GRPCInferenceService";
const protos = join(import.meta.dirname, "protos", "inference.proto");
const service = loadSync(protos, { keepCase: true })["inference.GRPCInferenceService"];
const methods = service as ServiceDefinition;

const words = fc.constantFrom("model", "a", "b", "c", "a_out", "other", "", "x".repeat(3000));
const int64 = fc.oneof(
  { weight: 6, arbitrary: fc.nat({ max: 4 }).map(String) },
  fc.constantFrom("-1", "2147483648", "4294967296", "9223372036854775807", "-9223372036854775808"),
);
const contents = fc.record(
  {
    bool_contents: fc.array(fc.boolean(), { maxLength: 4 }),
    int_contents: fc.array(fc.integer(), { maxLength: 4 }),
    int64_contents: fc.array(int64, { maxLength: 4 }),
    uint_contents: fc.array(fc.nat(), { maxLength: 4 }),
    fp32_contents: fc.array(fc.float(), { maxLength: 4 }),
    fp64_contents: fc.array(fc.double(), { maxLength: 4 }),
    bytes_contents: fc.array(bytes(8), { maxLength: 4 }),
  },
  { requiredKeys: [] },
);
const parameter = fc.oneof(
  fc.record({ bool_param: fc.boolean() }),
  fc.record({ int64_param: int64 }),
  fc.record({ string_param: fc.string() }),
);
const parameters = fc.dictionary(
  fc.constantFrom("classification", "binary_data", "sequence_id", "shared_memory_region", "z"),
  parameter,
  { maxKeys: 2 },
);
const inferMessage = fc.record(
  {
    model_name: fc.oneof({ weight: 8, arbitrary: fc.constant("model") }, words),
    model_version: fc.oneof({ weight: 8, arbitrary: fc.constant("") }, words),
    id: fc.string(),
    parameters,
    inputs: fc.array(
      fc.record(
        {
          name: words,
          datatype: fc.oneof(
            { weight: 4, arbitrary: fc.constantFrom("FP32", "INT64", "BYTES") },
            fc.constantFrom("BOOL", "UINT8", "FP16", "FP64", "BF16", "fp32", ""),
          ),
          shape: fc.array(int64, { maxLength: 10 }),
          parameters,
          contents,
        },
        { requiredKeys: [] },
      ),
      { maxLength: 5 },
    ),
    outputs: fc.array(fc.record({ name: words, parameters }, { requiredKeys: [] }), {
      maxLength: 3,
    }),
    raw_input_contents: fc.array(bytes(24), { maxLength: 4 }),
  },
  { requiredKeys: ["model_name"] },
);

function bytes(maxLength: number): fc.Arbitrary<Buffer> {
  return fc.uint8Array({ maxLength }).map((array) => Buffer.from(array));
}

function encode(name: string, message: object): Buffer {
  return methods[name]?.requestSerialize(message) ?? Buffer.alloc(0);
}

/** What is right in every respect. */
const valid = encode("ModelInfer", {
  model_name: "model",
  inputs: [
    { name: "a", datatype: "FP32", shape: [1, 2] },
    { name: "b", datatype: "INT64", shape: [1, 1] },
    { name: "c", datatype: "BYTES", shape: [1, 1] },
  ],
  raw_input_contents: [
    Buffer.from(Float32Array.of(1, 2).buffer),
    Buffer.from(BigInt64Array.of(3n).buffer),
    Buffer.from([2, 0, 0, 0, 104, 105]),
  ],
});

function frame(message: Buffer, flag = 0, length = message.length): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt8(flag, 0);
  head.writeUInt32BE(length, 1);
  return Buffer.concat([head, message]);
}

const frames = fc.oneof(
  { weight: 20, arbitrary: fc.constant((message: Buffer) => frame(message)) },
  // Compressed without a word of it, cut off, announced as larger than it may be, or none at all.
  fc.constant((message: Buffer) => frame(message, 1)),
  fc.constant((message: Buffer) => frame(message, 7)),
  fc.constant((message: Buffer) => frame(message, 0, message.length + 3)),
  fc.constant((message: Buffer) => frame(message, 0, 2 ** 32 - 1)),
  fc.constant(() => Buffer.alloc(0)),
  fc.constant((message: Buffer) => Buffer.concat([frame(message), frame(message)])),
);
const headers = fc.oneof(
  { weight: 20, arbitrary: fc.constant<FuzzCall["headers"]>({}) },
  fc.constantFrom<FuzzCall["headers"]>(
    { "grpc-timeout": "1n" },
    { "grpc-timeout": "x" },
    { "grpc-encoding": "gzip" },
    { "grpc-encoding": "zstd" },
    { "content-type": "application/json" },
    { traceparent: "00-0-0-0", "x-request-id": "\u0001" },
    { "big-bin": "%%%" },
  ),
);
const message = fc.oneof(
  { weight: 3, arbitrary: inferMessage.map((one) => encode("ModelInfer", one)) },
  { weight: 3, arbitrary: mutated(valid) },
  inferMessage.chain((one) => mutated(encode("ModelInfer", one))),
  bytes(32),
);
const path = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom("ModelInfer", "ModelStreamInfer") },
  fc.constantFrom(...Object.keys(methods), "None", "../x", ""),
);

/** Calls of the bundle `tensors`. */
export const fuzzCalls: fc.Arbitrary<FuzzCall> = fc
  .tuple(path, message, frames, headers)
  .map(([method, one, framed, some]) => ({
    path: `${SERVICE}/${method}`,
    headers: some,
    body: framed(one),
  }));

export interface FuzzSession {
  /** Rejects where no answer comes at all. */
  readonly send: (call: FuzzCall) => Promise<FuzzStatus>;
  readonly close: () => Promise<void>;
}

/** A connection, which is replaced where the server ends it. */
export function openFuzzSession(port: number): FuzzSession {
  let session: ClientHttp2Session | undefined;
  const current = (): ClientHttp2Session => {
    if (session !== undefined && !session.closed && !session.destroyed) return session;
    session = connect(`http://127.0.0.1:${port}`);
    session.on("error", () => {});
    return session;
  };
  return {
    send: async ({ path: to, headers: own, body }) => {
      const stream = current().request({
        ":method": "POST",
        ":path": to,
        "content-type": "application/grpc",
        te: "trailers",
        ...own,
      });
      const answer: IncomingHttpHeaders = {};
      const ended = Promise.withResolvers<void>();
      const take = (received: IncomingHttpHeaders): void => void Object.assign(answer, received);
      stream.on("response", take);
      stream.on("trailers", take);
      stream.once("close", ended.resolve);
      stream.once("error", ended.reject);
      stream.resume();
      stream.end(body);
      await ended.promise;
      const code = answer["grpc-status"];
      if (answer[":status"] === undefined)
        throw new Error(`no answer: the stream ended with ${nameOf(stream.rstCode ?? 0)}`);
      return {
        code: code === undefined ? undefined : Number(code),
        http: Number(answer[":status"]),
        message: decodeURIComponent(String(answer["grpc-message"] ?? "")),
      };
    },
    close: async () => {
      if (session === undefined || session.destroyed) return;
      const closed = once(session, "close");
      session.close();
      await closed;
    },
  };
}

function nameOf(code: number): string {
  const found = Object.entries(constants).find(
    ([name, value]) => value === code && /^NGHTTP2_[A-Z_]+$/.test(name),
  );
  return found?.[0] ?? String(code);
}

const OK: number = status.OK;
const INTERNAL: number = status.INTERNAL;
const REFUSALS: ReadonlySet<number> = new Set([
  status.INVALID_ARGUMENT,
  status.NOT_FOUND,
  status.RESOURCE_EXHAUSTED,
  status.UNIMPLEMENTED,
  status.DEADLINE_EXCEEDED,
  status.CANCELLED,
]);
const MAX_MESSAGE = 1000;
/** What the library itself says of calls that are no gRPC, with the code that gRPC has for them. */
const LIBRARY = /^(?:Invalid grpc-timeout value|Failed to decompress message)/;

/** What is wrong with an answer: undefined where nothing is. */
export function callFaultOf({ code, http, message: why }: FuzzStatus): string | undefined {
  if (code === undefined) return http >= 400 && http < 500 ? undefined : `the status is ${http}`;
  if (code === OK) return undefined;
  const isRefusal = REFUSALS.has(code) || (code === INTERNAL && LIBRARY.test(why));
  if (!isRefusal) return `the status is ${status[code] ?? code}: ${why}`;
  if (why.length > MAX_MESSAGE) return `the message has ${why.length} characters`;
  const leak = leakOf(why);
  return leak === undefined ? undefined : `the message has ${leak}`;
}
