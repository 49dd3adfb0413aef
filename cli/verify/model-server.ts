import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

import { CheckEvent, type CheckResult } from "../../crds/check.ts";
import { CliError } from "../errors.ts";

/** The model server beside the CLI: a program of its own, so that a model that crashes does not end the CLI. */
const program = fileURLToPath(new URL("../../model-server/check/main.ts", import.meta.url));

const MAX_ERROR_CHARACTERS = 2000;

export type CheckProgress = Exclude<CheckEvent, CheckResult | { readonly kind: "refused" }>;

/**
 * Runs a check of the model server: `bundle` as a pod starts, `record` the samples' answers, `model` what a file declares.
 * @throws BundleRefused with the message that a pod would leave, CheckFailed when the check itself fails; the signal's
 *   reason when aborted
 */
export async function runCheck(
  check: "bundle" | "record" | "model",
  path: string,
  report: (event: CheckProgress) => void,
  signal: AbortSignal,
): Promise<CheckResult> {
  if (!existsSync(program))
    throw new CliError(
      "CheckFailed",
      `The model server that checks bundles is missing: there is no ${program}`,
      "Install aiapp from a clone of the whole project, or publish with --no-verify.",
    );
  signal.throwIfAborted();
  const child = spawn(process.execPath, [program, check, path], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const end = (): void => void child.kill("SIGKILL");
  signal.addEventListener("abort", end, { once: true });
  let errors = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    errors = (errors + text).slice(-MAX_ERROR_CHARACTERS);
  });
  const closed = new Promise<string>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, by) =>
      resolve(code === null ? `by ${by}` : `with exit code ${code}`),
    );
  });
  let last: CheckEvent | undefined;
  try {
    for await (const line of createInterface({ input: child.stdout })) {
      last = CheckEvent.parse(JSON.parse(line));
      if (last.kind === "phase" || last.kind === "sample") report(last);
    }
    const how = await closed;
    signal.throwIfAborted();
    if (last?.kind === "servable" || last?.kind === "model") return last;
    if (last?.kind === "refused") throw refused(last.message);
    throw new CliError(
      "CheckFailed",
      `The check of ${path} ended ${how}${errors === "" ? "" : `: ${errors.trim()}`}`,
      "Check that there is enough memory for the model, then run the same command again.",
    );
  } finally {
    signal.removeEventListener("abort", end);
    end();
    await closed.catch(() => {});
  }
}

function refused(message: string): CliError {
  // What is not the bundle's fault, such as a wrong environment variable, has no such reason.
  const [, reason, what] = /^(ModelLoadFailed|ModelChecksumMismatch): ([^]*)$/.exec(message) ?? [];
  if (reason === undefined || what === undefined)
    return new CliError("CheckFailed", message, "Fix it, then run the same command again.");
  return new CliError(
    "BundleRefused",
    what,
    `A pod of the model server would end with ${reason}: fix the bundle, then run the same command again.`,
  );
}
