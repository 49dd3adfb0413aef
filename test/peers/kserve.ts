import { join } from "node:path";

import { answersOk, startProcess } from "../../bench/server/process.ts";
import { freePort } from "../support/process.ts";
import type { Peer, PeerOptions } from "./peer.ts";
import { peerEnvironment, peersFolder, pythonFor } from "./python.ts";

/** KServe's Python server with the models of `kserve_server.py`. */
export async function startKserve({ models, workers }: PeerOptions): Promise<Peer> {
  const python = await pythonFor("kserve");
  const [port, grpcPort] = [await freePort(), await freePort()];
  const started = await startProcess({
    command: [
      python,
      join(peersFolder, "kserve_server.py"),
      `--http_port=${port}`,
      `--grpc_port=${grpcPort}`,
      `--workers=${workers}`,
      // A line for each request.
      "--enable_latency_logging=false",
      ...Object.entries(models).map(([name, file]) => `${name}=${file}`),
    ],
    environment: peerEnvironment,
    url: `http://127.0.0.1:${port}`,
    isReady: (url) => answersOk(`${url}/v2/health/ready`),
  });
  return { ...started, grpc: `127.0.0.1:${grpcPort}` };
}
