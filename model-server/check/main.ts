import type { CheckEvent } from "../../crds/check.ts";
import { explain } from "../explain.ts";
import { checkBundle, describeModel, recordSamples } from "./check.ts";

/** `node model-server/check/main.ts bundle|record|model <path>`: prints lines of JSON (crds/check.ts), for the CLI. */

const checks = { bundle: checkBundle, record: recordSamples, model: describeModel } as const;

function report(event: CheckEvent): void {
  process.stdout.write(`${JSON.stringify(event)}\n`);
}

const stop = new AbortController();
process.once("SIGTERM", () => stop.abort());
const [name = "", path = ""] = process.argv.slice(2);
const check = Object.entries(checks).find(([key]) => key === name)?.[1];
if (check === undefined || path === "") {
  process.stderr.write("usage: main.ts bundle|record|model <path>\n");
  process.exit(2);
}
try {
  report(await check(path, process.env, report, stop.signal));
} catch (error) {
  report({ kind: "refused", message: explain(error) });
  process.exitCode = 1;
}
