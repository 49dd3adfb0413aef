import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { answersOk, startProcess, type ServerProcess } from "../../bench/server/process.ts";
import { freePort } from "../support/process.ts";
import { peerEnvironment, peersFolder, pythonFor } from "./python.ts";

/** Servers with an interface of their own, each in the settings that its documentation recommends for production. */
interface Program {
  /** Of the file of its packages. */
  readonly name: string;
  /** Of Python, without spaces in them. */
  readonly arguments: (port: number, workers: number) => string;
  readonly readyPath: string;
}

export const others = {
  flask: {
    name: "flask",
    // Threads, since workers without them close each connection.
    arguments: (port, workers) =>
      `-m gunicorn flask_app:app --workers ${workers} --threads 4 --bind 127.0.0.1:${port} --no-control-socket`,
    readyPath: "/ready",
  },
  fastapi: {
    name: "fastapi",
    arguments: (port, workers) =>
      `-m uvicorn fastapi_app:app --workers ${workers} --port ${port} --no-access-log --log-level warning`,
    readyPath: "/ready",
  },
  litserve: {
    name: "litserve",
    arguments: (port, workers) => `-m litserve_app ${port} ${workers}`,
    readyPath: "/health",
  },
  bentoml: {
    name: "bentoml",
    arguments: (port) => `-m bentoml serve bentoml_service:Scoring --host 127.0.0.1 --port ${port}`,
    readyPath: "/readyz",
  },
} as const satisfies Readonly<Record<string, Program>>;

/** @param model the file of the model that it serves */
export async function startOther(
  { name, readyPath, ...program }: Program,
  model: string,
  workers: number,
): Promise<ServerProcess> {
  const python = await pythonFor(name);
  const port = await freePort();
  // What they write beside themselves goes with them.
  const home = await mkdtemp(join(tmpdir(), `aiapp-${name}-`));
  const started = await startProcess({
    command: [python, ...program.arguments(port, workers).split(" ")],
    folder: peersFolder,
    environment: {
      ...peerEnvironment,
      HOME: home,
      MODEL_FILE: model,
      WORKERS: String(workers),
      BENTOML_DO_NOT_TRACK: "True",
    },
    url: `http://127.0.0.1:${port}`,
    isReady: (url) => answersOk(url + readyPath),
  });
  const close = async (): Promise<void> => {
    await started.close();
    await rm(home, { recursive: true, force: true });
  };
  return { ...started, close };
}
