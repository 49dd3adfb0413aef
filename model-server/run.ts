import { createRequire } from "node:module";

import type { Config } from "./config.ts";
import type { Logger } from "./log.ts";
import { startServer, type Server } from "./server.ts";

function versionOf(name: string): string {
  const read: unknown = createRequire(import.meta.url)(name);
  return String(Reflect.get(Object(read), "version"));
}

/**
 * Serves until a signal ends it: SIGTERM after a drain, SIGINT at once.
 * @param onReady is called when the model is loaded
 * @throws what ends the start
 */
export async function runServer(
  config: Config,
  log: Logger,
  onReady: (server: Server) => Promise<void>,
): Promise<void> {
  const server = await startServer(config, {
    log,
    versions: {
      server: versionOf("./package.json"),
      runtime: `onnxruntime ${versionOf("onnxruntime-node/package.json")}`,
      node: process.versions.node,
    },
  });
  const stopped = Promise.withResolvers<void>();
  const stop = (): void => {
    log.info("draining: serving until no request has come for a while");
    server.drain().then(stopped.resolve, stopped.reject);
  };
  process.once("SIGTERM", stop);
  process.once("SIGINT", () => void server.close().then(stopped.resolve, stopped.reject));
  log.info({ port: server.port, model: config.model, release: config.release }, "listening");
  await Promise.race([server.loaded.then(() => onReady(server)), stopped.promise]);
  await stopped.promise;
}
