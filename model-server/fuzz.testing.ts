import { gzipSync } from "node:zlib";

import * as fc from "fast-check";

import type { FuzzTarget } from "./fuzz-targets.testing.ts";

/** Requests that are malformed in one way or another. */

export interface FuzzRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

const INFER = "/v2/models/model/infer";
const LENGTH = "inference-header-content-length";

const junk = fc.oneof(
  fc.jsonValue({ maxDepth: 4 }),
  fc.constantFrom<unknown>(null, "", [], {}, -1, 2 ** 53, 1e308, "NaN", "\u0000", "__proto__"),
);
const size = fc.oneof(
  { weight: 6, arbitrary: fc.nat({ max: 4 }) },
  fc.constantFrom<unknown>(-1, 1.5, 2 ** 31, 2 ** 32, 2 ** 53, 2 ** 63, 1e300, "2", null, [1]),
);
const datatype = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom("FP32", "INT64", "BYTES") },
  fc.constantFrom<unknown>(
    "BOOL",
    "UINT8",
    "FP16",
    "FP64",
    "BF16",
    "fp32",
    "",
    "x".repeat(5000),
    7,
  ),
);
const values = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.array(fc.oneof(fc.integer(), fc.double(), fc.string()), { maxLength: 8 }),
  },
  fc.array(fc.array(fc.oneof(fc.integer(), fc.string()), { maxLength: 3 }), { maxLength: 3 }),
  junk,
);

/** Most fields as they should be, some absent, some of another type. */
function fields(model: Readonly<Record<string, fc.Arbitrary<unknown>>>): fc.Arbitrary<object> {
  const entries = Object.entries(model).map(
    ([name, arbitrary]) =>
      [name, fc.oneof({ weight: 12, arbitrary }, { weight: 1, arbitrary: junk })] as const,
  );
  return fc.record(Object.fromEntries(entries), { requiredKeys: [] });
}

const port = fields({
  name: fc.constantFrom("a", "b", "c", "d", ""),
  shape: fc.array(size, { maxLength: 10 }),
  datatype,
  data: values,
  parameters: fields({ binary_data_size: size, shared_memory_region: junk }),
});
const inferBody = fields({
  id: fc.string(),
  inputs: fc.array(port, { maxLength: 5 }),
  outputs: fc.array(
    fields({
      name: fc.constantFrom("a_out", "b_out", "z"),
      parameters: fields({ binary_data: fc.boolean(), classification: size }),
    }),
    { maxLength: 3 },
  ),
  parameters: fields({ binary_data_output: fc.boolean(), sequence_id: size }),
});

/** Bytes of which some are others, or lack, or come twice. */
export function mutated(original: Buffer): fc.Arbitrary<Buffer> {
  const change = fc.record({
    at: fc.nat({ max: Math.max(0, original.length - 1) }),
    byte: fc.nat({ max: 255 }),
  });
  return fc
    .record({
      changes: fc.array(change, { maxLength: 8 }),
      cut: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.nat({ max: original.length })),
      more: fc.uint8Array({ maxLength: 16 }),
    })
    .map(({ changes, cut, more }) => {
      const bytes = Buffer.from(original);
      for (const { at, byte } of changes) bytes[at] = byte;
      return Buffer.concat([bytes.subarray(0, bytes.length - cut), more]);
    });
}

function jsonOf(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value) ?? "");
}

/** Some of these headers. */
function someOf(
  headers: Readonly<Record<string, fc.Arbitrary<string>>>,
): fc.Arbitrary<Readonly<Record<string, string>>> {
  const names = fc.subarray(Object.keys(headers), { minLength: 0 });
  return fc
    .tuple(names, fc.record(headers))
    .map(([some, all]) => Object.fromEntries(some.map((name) => [name, all[name] ?? ""])));
}

function post(
  path: string,
  body: fc.Arbitrary<Buffer>,
  headers: Readonly<Record<string, fc.Arbitrary<string>>>,
): fc.Arbitrary<FuzzRequest> {
  return fc.record({
    method: fc.constant("POST"),
    path: fc.constant(path),
    headers: someOf(headers),
    body,
  });
}

const json = { "content-type": fc.constantFrom("application/json", "application/json; charset=x") };

/** What is right in every respect, by the binary extension. */
function binary(): { readonly head: Buffer; readonly body: Buffer } {
  const raw = Buffer.concat([
    Buffer.from(Float32Array.of(1, 2).buffer),
    Buffer.from(BigInt64Array.of(3n).buffer),
    Buffer.from([2, 0, 0, 0, 104, 105]),
  ]);
  const head = jsonOf({
    inputs: [
      { name: "a", shape: [1, 2], datatype: "FP32", parameters: { binary_data_size: 8 } },
      { name: "b", shape: [1, 1], datatype: "INT64", parameters: { binary_data_size: 8 } },
      { name: "c", shape: [1, 1], datatype: "BYTES", parameters: { binary_data_size: 6 } },
    ],
    parameters: { binary_data_output: true },
  });
  return { head, body: Buffer.concat([head, raw]) };
}

/** Any JSON and any bytes after it, with the JSON's own length; or bytes alone. */
const binaryRequest = fc
  .tuple(inferBody.map(jsonOf), fc.uint8Array({ maxLength: 32 }), fc.nat({ max: 9 }))
  .map(([json, raw, isRaw]): FuzzRequest => {
    const start = isRaw === 0 ? Buffer.alloc(0) : json;
    return {
      method: "POST",
      path: INFER,
      headers: { [LENGTH]: String(start.length) },
      body: Buffer.concat([start, raw]),
    };
  });

const segment = fc.oneof(
  fc.constantFrom(
    "v2",
    "models",
    "model",
    "versions",
    "infer",
    "score",
    "config",
    "stats",
    "ready",
  ),
  fc.constantFrom(
    "..",
    "%2e%2e",
    "%00",
    "%",
    "%ff",
    "repository",
    "index",
    "load",
    "a".repeat(3000),
  ),
  fc.string().map(encodeURIComponent),
);
const path = fc.array(segment, { maxLength: 6 }).map((parts) => `/${parts.join("/")}`);
const anywhere = fc.record({
  method: fc.constantFrom(
    "GET",
    "POST",
    "PUT",
    "DELETE",
    "PATCH",
    "OPTIONS",
    "TRACE",
    "QUERY",
    "PROPFIND",
  ),
  path: fc
    .tuple(path, fc.oneof(fc.constant(""), fc.constantFrom("?top=0", "?top=a", "?top[]=1", "?a=%")))
    .map((parts) => parts.join("")),
  headers: someOf({
    "content-type": fc.constantFrom("text/plain", "application/json", "multipart/form-data", "x"),
    "content-encoding": fc.constantFrom("gzip", "zstd", "gzip, gzip", ""),
    "accept-encoding": fc.constantFrom("gzip", "*", "identity;q=0", ";;;"),
    [LENGTH]: fc.constantFrom("-1", "0", "1e3", "99999999999999999999"),
  }),
  body: fc.uint8Array({ maxLength: 64 }).map((bytes) => Buffer.from(bytes)),
});

const small = fc.integer({ min: -2, max: 4 });
const matrix = fc
  .tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 3 }))
  .chain(([rows, columns]) =>
    fc.record({
      shape: fc.constant([rows, columns]),
      data: fc.array(small, { minLength: rows * columns, maxLength: rows * columns }),
    }),
  );
/** Of the right form, with values and shapes on which the runtime fails. */
const integerRequest = fc
  .record({
    a: matrix,
    b: matrix,
    outputs: fc.subarray(["quotient", "rest", "picked", "reshaped"], { minLength: 1 }),
  })
  .map(({ a, b, outputs }) => ({
    inputs: [
      { name: "a", datatype: "INT64", ...a },
      { name: "b", datatype: "INT64", ...b },
    ],
    outputs: outputs.map((name) => ({ name })),
  }));

/** Malformed requests to each target, about as many of each kind. */
export function requestsTo(
  target: FuzzTarget,
  pictures: readonly Buffer[],
): fc.Arbitrary<FuzzRequest> {
  if (target === "integers") return post(INFER, integerRequest.map(jsonOf), json);
  const { head, body } = binary();
  const length = fc.oneof(
    { weight: 5, arbitrary: fc.constant(String(head.length)) },
    fc.integer().map(String),
    fc.constantFrom("0", "1e2", "0x10", "²", "9".repeat(40)),
  );
  const score = fc.oneof(
    fields({ input: values }),
    fields({ input: fields({ a: values, b: values, c: values, d: values }) }),
    values,
  );
  const picture = fc.oneof(...pictures.map(mutated));
  return target === "tensors"
    ? fc.oneof(
        post(INFER, inferBody.map(jsonOf), json),
        post(INFER, mutated(head), json),
        post(INFER, mutated(body), { [LENGTH]: length }),
        binaryRequest,
        post(INFER, mutated(gzipSync(head)), { "content-encoding": fc.constant("gzip") }),
        post("/score", score.map(jsonOf), json),
        post("/v2/repository/index", junk.map(jsonOf), {}),
        anywhere,
      )
    : fc.oneof(
        {
          weight: 4,
          arbitrary: post("/score", picture, {
            "content-type": fc.constantFrom(
              "image/png",
              "image/jpeg",
              "application/octet-stream",
              "image/gif",
            ),
          }),
        },
        post(
          "/score",
          fc
            .array(picture, { maxLength: 3 })
            .map((some) => jsonOf({ input: some.map((one) => one.toString("base64")) })),
          json,
        ),
        post("/score", score.map(jsonOf), json),
      );
}
