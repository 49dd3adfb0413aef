import { existsSync } from "node:fs";

import { curlOf, environmentFor } from "./alone.ts";
import { readConfig } from "./config.ts";
import { messageOf } from "./errors.ts";
import { createLogger } from "./log.ts";
import type { ModelMetadata } from "./protocol/description.ts";
import { runServer } from "./run.ts";
import type { Server } from "./server.ts";

/** `npm run serve -- <bundle folder | model.onnx>`: the model server without Kubernetes. */

const USAGE = `npm run serve -- <bundle folder | model.onnx>

Serves a model on this machine. Environment variables configure it, such as PORT=8000 and GRPC_PORT=9000:
docs/model-server.md lists them.`;

async function serve(path: string): Promise<void> {
  const config = readConfig(await environmentFor(path, process.env));
  await runServer(config, createLogger(config.logLevel), async ({ port, grpcPort }: Server) => {
    const url = `http://${config.host.includes(":") ? "localhost" : config.host}:${port}`;
    const response = await fetch(`${url}/v2/models/${encodeURIComponent(config.model.name)}`);
    const metadata = (await response.json()) as ModelMetadata;
    const { name, version } = config.model;
    process.stdout.write(
      [
        `Serving ${name}${version === "" ? "" : ` ${version}`} at ${url}; Ctrl-C ends it.`,
        ...(grpcPort === undefined ? [] : [`gRPC is on port ${grpcPort}.`]),
        ...curlOf(url, metadata),
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
if (!existsSync(path)) fail(`There is no ${path}: name a bundle's folder, or a model's file.`, 2);
try {
  await serve(path);
  process.exit(0);
} catch (error) {
  fail(messageOf(error), 1);
}
