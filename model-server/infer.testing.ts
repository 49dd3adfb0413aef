import { buildModel, type ModelSpec } from "./onnx/build.testing.ts";
import { serve, type BundleFiles } from "./serve.testing.ts";
import type { Server } from "./server.ts";

/** A model that gives its input back. */
export function identity(
  type: ModelSpec["inputs"][number]["type"],
  dims: readonly (number | string)[] = ["N", 2],
): BundleFiles {
  return {
    "model.onnx": buildModel({
      nodes: [{ op: "Identity", inputs: ["x"], outputs: ["y"] }],
      inputs: [{ name: "x", type, dims }],
      outputs: [{ name: "y", type, dims }],
    }),
  };
}

/** Adds two inputs; gives their sum, and the first one. */
export const ADD = buildModel({
  nodes: [
    { op: "Add", inputs: ["a", "b"], outputs: ["sum"] },
    { op: "Identity", inputs: ["a"], outputs: ["copy"] },
  ],
  inputs: [
    { name: "a", type: "float", dims: ["N", 3] },
    { name: "b", type: "float", dims: ["N", 3] },
  ],
  outputs: [
    { name: "sum", type: "float", dims: ["N", 3] },
    { name: "copy", type: "float", dims: ["N", 3] },
  ],
});

export interface Answered {
  readonly status: number;
  readonly headers: Headers;
  readonly bytes: Buffer;
  readonly body: unknown;
}

export async function send(
  server: Server,
  body: Uint8Array | string,
  headers: Readonly<Record<string, string>> = {},
  path = "/v2/models/model/infer",
): Promise<Answered> {
  const response = await fetch(`http://127.0.0.1:${server.port}${path}`, {
    method: "POST",
    headers,
    body: typeof body === "string" ? body : Uint8Array.from(body),
  });
  const bytes = Buffer.from(await response.arrayBuffer());
  const length = Number(response.headers.get("inference-header-content-length") ?? bytes.length);
  const json: unknown = JSON.parse(bytes.subarray(0, length).toString());
  return {
    status: response.status,
    headers: response.headers,
    bytes: bytes.subarray(length),
    body: json,
  };
}

export async function infer(server: Server, request: unknown): Promise<Answered> {
  return send(server, JSON.stringify(request), { "content-type": "application/json" });
}

/** JSON with raw bytes after it. */
export async function inferRaw(
  server: Server,
  request: unknown,
  ...raw: Uint8Array[]
): Promise<Answered> {
  const json = Buffer.from(JSON.stringify(request));
  return send(server, Buffer.concat([json, ...raw]), {
    "inference-header-content-length": String(json.length),
  });
}

export async function get(
  server: Server,
  path: string,
): Promise<{ status: number; body: unknown }> {
  const response = await fetch(`http://127.0.0.1:${server.port}${path}`);
  return { status: response.status, body: await response.json() };
}

export function floats(...values: number[]): Uint8Array {
  return new Uint8Array(Float32Array.from(values).buffer);
}

export function tensor(
  name: string,
  datatype: string,
  shape: readonly number[],
  data: unknown,
): object {
  return { name, datatype, shape, data };
}

export async function serving(
  files: BundleFiles,
  environment: NodeJS.ProcessEnv = {},
): Promise<Server> {
  const server = await serve(files, environment);
  await server.loaded;
  return server;
}
