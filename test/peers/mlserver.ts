import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { answersOk, startProcess } from "../../bench/server/process.ts";
import { freePort } from "../support/process.ts";
import type { Peer, PeerOptions } from "./peer.ts";
import { peerEnvironment, pythonFor } from "./python.ts";

/** MLServer with its runtime `mlserver_runtime.py`. */
export async function startMlserver({ models, workers, batch }: PeerOptions): Promise<Peer> {
  const python = await pythonFor("mlserver");
  const folder = await mkdtemp(join(tmpdir(), "aiapp-mlserver-"));
  for (const [name, uri] of Object.entries(models)) {
    await mkdir(join(folder, name));
    const settings = {
      name,
      versions: ["1"],
      implementation: "mlserver_runtime.OnnxRuntime",
      parameters: { uri, version: "1" },
      ...(batch && { max_batch_size: batch.rows, max_batch_time: batch.seconds }),
    };
    await writeFile(join(folder, name, "model-settings.json"), JSON.stringify(settings));
  }
  const [port, grpcPort, metricsPort] = [await freePort(), await freePort(), await freePort()];
  const started = await startProcess({
    // Its script names the Python of the folder that it was installed in, before that got its name.
    command: [python, "-c", "from mlserver.cli import main; main()", "start", folder],
    folder,
    environment: {
      ...peerEnvironment,
      MLSERVER_HOST: "127.0.0.1",
      MLSERVER_HTTP_PORT: String(port),
      MLSERVER_GRPC_PORT: String(grpcPort),
      MLSERVER_METRICS_PORT: String(metricsPort),
      // In the process of the server where there is no more than one.
      MLSERVER_PARALLEL_WORKERS: String(workers > 1 ? workers : 0),
      MLSERVER_DEBUG: "false",
    },
    url: `http://127.0.0.1:${port}`,
    isReady: (url) => answersOk(`${url}/v2/health/ready`),
  });
  const close = async (): Promise<void> => {
    await started.close();
    await rm(folder, { recursive: true });
  };
  return { ...started, close, grpc: `127.0.0.1:${grpcPort}` };
}
