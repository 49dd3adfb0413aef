import { gzipSync } from "node:zlib";

import type { ProtocolRequest } from "./answer.ts";

/** Requests of the Open Inference Protocol, as short as rows of a table can have them. */

type Head = Readonly<Record<string, string>>;
const JSON_TYPE: Head = { "content-type": "application/json" };

export function get(path: string, fields: readonly string[] = []): ProtocolRequest {
  return { method: "GET", path, fields };
}

export function post(
  path: string,
  body: string | object,
  headers: Head = JSON_TYPE,
): ProtocolRequest {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return { method: "POST", path, headers, body: bytesOf(text) };
}

export function infer(
  model: string,
  body: string | object,
  headers: Head = JSON_TYPE,
): ProtocolRequest {
  return post(`/v2/models/${model}/infer`, body, headers);
}

/** JSON with raw bytes after it; the header may say another length. */
export function inferRaw(
  model: string,
  body: object,
  raw: readonly Uint8Array[],
  shift = 0,
): ProtocolRequest {
  const json = Buffer.from(JSON.stringify(body));
  return {
    method: "POST",
    path: `/v2/models/${model}/infer`,
    headers: {
      "content-type": "application/octet-stream",
      "inference-header-content-length": String(json.length + shift),
    },
    body: bytesOf(Buffer.concat([json, ...raw])),
  };
}

export function inferGzip(model: string, body: object): ProtocolRequest {
  return {
    method: "POST",
    path: `/v2/models/${model}/infer`,
    headers: { ...JSON_TYPE, "content-encoding": "gzip" },
    body: bytesOf(gzipSync(JSON.stringify(body))),
  };
}

function bytesOf(content: string | Uint8Array): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(Buffer.from(content));
}

export function tensor(
  name: string,
  datatype: string,
  shape: readonly number[],
  data: unknown,
): object {
  return { name, datatype, shape, data };
}

/** A tensor whose values follow the JSON. */
export function rawTensor(
  name: string,
  datatype: string,
  shape: readonly number[],
  bytes: number,
): object {
  return { name, datatype, shape, parameters: { binary_data_size: bytes } };
}

export function floats(...values: number[]): Uint8Array {
  return new Uint8Array(Float32Array.from(values).buffer);
}

/** Elements of BYTES: each its length in four bytes, and then itself. */
export function texts(...values: string[]): Uint8Array {
  return Buffer.concat(
    values.map((value) => {
      const length = Buffer.alloc(4);
      length.writeUInt32LE(Buffer.byteLength(value));
      return Buffer.concat([length, Buffer.from(value)]);
    }),
  );
}

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
