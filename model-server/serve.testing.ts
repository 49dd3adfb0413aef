import { cp, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

import { onTestFinished } from "vitest";

import { readConfig } from "./config.ts";
import { createLogger, type Logger } from "./log.ts";
import { startServer, type Server } from "./server.ts";

export const fixtures = join(import.meta.dirname, "fixtures");

/** Files of a bundle by their paths: bytes, text, what becomes JSON, or a file to copy. */
export type BundleFiles = Readonly<Record<string, Uint8Array | string | object | CopyOf>>;

interface CopyOf {
  readonly copyOf: string;
}

export function copyOf(file: string): CopyOf {
  return { copyOf: file };
}

/** Starts a server on a bundle of these files; the test's end closes it. */
export async function serve(
  files: BundleFiles,
  environment: NodeJS.ProcessEnv = {},
): Promise<Server> {
  const { server, close } = await startOn(files, environment);
  onTestFinished(close);
  return server;
}

/** As `serve`, for several tests: the caller closes it. */
export async function startOn(
  files: BundleFiles,
  environment: NodeJS.ProcessEnv = {},
  log: Logger = createLogger("silent"),
): Promise<{ readonly server: Server; readonly close: () => Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), "aiapp-serve-"));
  for (const [path, content] of Object.entries(files)) await put(join(folder, path), content);
  const config = readConfig({
    MODEL_DIR: folder,
    HOST: "127.0.0.1",
    PORT: "0",
    METRICS_PORT: "0",
    WORKERS: "1",
    ...environment,
  });
  const server = await startServer(config, { log, versions: {} });
  return {
    server,
    close: async () => {
      await server.close();
      await rm(folder, { recursive: true });
    },
  };
}

async function put(file: string, content: BundleFiles[string]): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  if (typeof content === "string" || content instanceof Uint8Array) await writeFile(file, content);
  else if ("copyOf" in content && typeof content.copyOf === "string")
    await cp(content.copyOf, file);
  else await writeFile(file, JSON.stringify(content));
}

/** Why a start on these files fails. */
export async function refusalOf(
  files: BundleFiles,
  environment: NodeJS.ProcessEnv = {},
): Promise<unknown> {
  const server = await serve(files, environment);
  return server.loaded.then(
    () => "loaded",
    (error: unknown) => error,
  );
}

export interface Answer {
  readonly status: number;
  readonly body: unknown;
}

/** POST /score of JSON. */
export async function score(server: Server, body: unknown, query = ""): Promise<Answer> {
  const response = await fetch(`http://127.0.0.1:${server.port}/score${query}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  return { status: response.status, body: await response.json() };
}

/** `result[0]` of an answer of 200. */
export async function scores(server: Server, body: unknown): Promise<readonly unknown[]> {
  const answer = await score(server, body, "?top=1000");
  if (answer.status !== 200) throw new Error(`${answer.status}: ${JSON.stringify(answer.body)}`);
  return (answer.body as { readonly result: readonly [unknown[], string] }).result[0];
}
