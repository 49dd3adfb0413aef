import { writeFileSync } from "node:fs";

import { readConfig } from "./config.ts";
import { explain } from "./explain.ts";
import { createLogger } from "./log.ts";
import { runServer } from "./run.ts";

/** Where the kubelet reads why a container ended. */
const TERMINATION_LOG = "/dev/termination-log";

try {
  const config = readConfig(process.env);
  await runServer(config, createLogger(config.logLevel), async () => {});
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
