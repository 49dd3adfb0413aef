import { mkdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";

import { freePort } from "../../test/support/process.ts";
import { fillCompileCache } from "../../supply-chain/compile-cache.ts";
import { cacheFolder } from "../../test/cluster/layout.ts";
import type { LoadRequest } from "./load.ts";
import type { BenchModel } from "./models.ts";
import { answersOk, startProcess, type ServerProcess } from "./process.ts";

/** The model server as a process of its own, as the image starts it, and requests to it. */

const folder = join(import.meta.dirname, "..", "..");

export async function startOurs(
  { folder: bundle }: Pick<BenchModel, "folder">,
  environment: Readonly<Record<string, string>> = {},
): Promise<ServerProcess> {
  const [port, metricsPort] = [await freePort(), await freePort()];
  return startProcess({
    command: [process.execPath, join(folder, "model-server", "main.ts")],
    environment: {
      ...(await imageEnvironment()),
      NODE_COMPILE_CACHE: await compileCache(),
      MODEL_DIR: bundle,
      HOST: "127.0.0.1",
      PORT: String(port),
      METRICS_PORT: String(metricsPort),
      LOG_LEVEL: "error",
      ...environment,
    },
    url: `http://127.0.0.1:${port}`,
    isReady: (url) => answersOk(`${url}/v2/health/ready`),
  });
}

let filled: Promise<string> | undefined;

/** Filled as Dockerfile.server fills the image's. */
function compileCache(): Promise<string> {
  filled ??= (async () => {
    const cache = join(cacheFolder(process.env), "compile-cache");
    // Of another state of the sources it would be of no use.
    await rm(cache, { recursive: true, force: true });
    await mkdir(cache, { recursive: true });
    const file = join(folder, "model-server", "main.ts");
    const environment = { MODEL_DIR: join(folder, "examples", "digits", "models", "1") };
    await fillCompileCache(cache, [{ file, isServer: true, environment }]);
    return cache;
  })();
  return filled;
}

/** What Dockerfile.server sets. */
async function imageEnvironment(): Promise<Readonly<Record<string, string>>> {
  const file = await readFile(join(folder, "Dockerfile.server"), "utf8");
  const last = file.slice(file.lastIndexOf("FROM "));
  const pairs = last
    .matchAll(/^ENV (.*)$/gm)
    .flatMap(([, line = ""]) => line.matchAll(/(\w+)=(\S+)/g));
  return Object.fromEntries(
    [...pairs].map(([, name = "", value = ""]) => [name, value.startsWith("$") ? "" : value]),
  );
}

/** The HTTP stack with a handler that reads the body and answers the same bytes each time. */
export async function startEmpty(answerBytes: number): Promise<ServerProcess> {
  const port = await freePort();
  return startProcess({
    command: [
      process.execPath,
      join(import.meta.dirname, "empty.ts"),
      String(port),
      String(answerBytes),
    ],
    environment: { NODE_ENV: "production" },
    url: `http://127.0.0.1:${port}`,
    isReady: answersOk,
  });
}

/** One item of values, by the binary extension of the Open Inference Protocol. */
export function binaryRequest(url: string, { shape }: BenchModel, path = INFER): LoadRequest {
  const data = valuesOf(shape);
  const json = Buffer.from(
    JSON.stringify({
      inputs: [
        {
          name: "x",
          shape: [1, ...shape],
          datatype: "FP32",
          parameters: { binary_data_size: data.byteLength },
        },
      ],
      parameters: { binary_data_output: true },
    }),
  );
  return {
    url: url + path,
    headers: {
      "content-type": "application/octet-stream",
      "inference-header-content-length": String(json.length),
    },
    body: Buffer.concat([json, Buffer.from(data.buffer)]),
  };
}

/** One item of values, as JSON. */
export function jsonRequest(url: string, { shape }: BenchModel, path = INFER): LoadRequest {
  const data = Array.from(valuesOf(shape));
  const inputs = [{ name: "x", shape: [1, ...shape], datatype: "FP32", data }];
  return {
    url: url + path,
    headers: { "content-type": "application/json" },
    body: Buffer.from(JSON.stringify({ inputs })),
  };
}

export function imageRequest(url: string, image: Uint8Array): LoadRequest {
  return { url: `${url}/score`, headers: { "content-type": "image/jpeg" }, body: image };
}

const INFER = "/v2/models/model/infer";

export function valuesOf(shape: readonly number[]): Float32Array<ArrayBuffer> {
  const count = shape.reduce((product, dim) => product * dim, 1);
  return Float32Array.from({ length: count }, (_, at) => ((at * 37) % 256) / 256);
}
