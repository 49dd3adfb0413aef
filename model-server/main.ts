import { writeFileSync } from "node:fs";
import { createRequire } from "node:module";

import { readConfig } from "./config.ts";
import { explain } from "./explain.ts";
import { createLogger } from "./log.ts";
import { startServer } from "./server.ts";

/** Where the kubelet reads why a container ended. */
const TERMINATION_LOG = "/dev/termination-log";

function versionOf(name: string): string {
  const read: unknown = createRequire(import.meta.url)(name);
  return String(Reflect.get(Object(read), "version"));
}

async function main(): Promise<void> {
  const config = readConfig(process.env);
  const log = createLogger(config.logLevel);
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
  await Promise.race([server.loaded, stopped.promise]);
  await stopped.promise;
}

try {
  await main();
  process.exit(0);
} catch (error) {
  const message = explain(error);
  process.stderr.write(`${message}\n`);
  try {
    writeFileSync(TERMINATION_LOG, message);
  } catch {
    // Not in a pod: standard error has it.
  }
  process.exit(1);
}
