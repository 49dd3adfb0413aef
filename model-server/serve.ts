import { lstatSync } from "node:fs";

import { curlOf, environmentFor } from "./alone.ts";
import { readConfig } from "./config.ts";
import { messageOf } from "./errors.ts";
import { createLogger } from "./log.ts";
import { runServer } from "./run.ts";
import type { Server } from "./server.ts";

/** `npm run serve -- <bundle folder | model.onnx>`: the model server without Kubernetes. */

const USAGE = `npm run serve -- <bundle folder | model.onnx>

Serves a model on this machine. Environment variables configure it, such as PORT=8000 and GRPC_PORT=9000:
docs/model-server.md lists them.`;

async function serve(path: string): Promise<void> {
  const config = readConfig(await environmentFor(path, process.env), "follow");
  const needsKey = config.apiKeysFile !== undefined;
  await runServer(config, createLogger(config.logLevel), async (server: Server) => {
    const { port, grpcPort } = server;
    const metadata = server.metadata();
    // Ctrl-C came before the model was loaded.
    if (metadata === undefined) return;
    const url = `http://${config.host.includes(":") ? "localhost" : config.host}:${port}`;
    const { name, version } = config.model;
    process.stdout.write(
      [
        `Serving ${name}${version === "" ? "" : ` ${version}`} at ${url}; Ctrl-C ends it.`,
        ...(grpcPort === undefined ? [] : [`gRPC is on port ${grpcPort}.`]),
        ...(needsKey ? ["Requests need one of your API keys in the place of <key>."] : []),
        ...curlOf(url, metadata, needsKey),
        "",
      ].join("\n"),
    );
  });
}

function fail(message: string, code: number): never {
  process.stderr.write(`${message}\n`);
  process.exit(code);
}

const [path, ...others] = process.argv.slice(2);
if (path === undefined || others.length > 0) fail(USAGE, 2);
if (path === "--help" || path === "-h") {
  process.stdout.write(`${USAGE}\n`);
  process.exit(0);
}
// A link that leads nowhere is there, and is reported as such.
if (lstatSync(path, { throwIfNoEntry: false }) === undefined)
  fail(`There is no ${path}: name a bundle's folder, or a model's file.`, 2);
try {
  await serve(path);
  process.exit(0);
} catch (error) {
  fail(messageOf(error), 1);
}
