import { readFileSync } from "node:fs";
import { inspect } from "node:util";

import { Command, InvalidArgumentError, Option } from "commander";

import { CliError, exitCodeOf, exitCodes, reasonOf } from "./errors.ts";
import type { Terminal } from "./terminal.ts";
import { sanitize, styleFor, wantsColours } from "./terminal.ts";

const stop = new AbortController();
const verbose = process.argv.includes("--verbose");

const terminal: Terminal = {
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
  interactive: process.stderr.isTTY && process.env["TERM"] !== "dumb",
  // A terminal without a size reports 0 columns.
  columns: process.stderr.columns || 80,
  style: styleFor(wantsColours(process.stdout.isTTY && process.stderr.isTTY, process.env)),
};

// The first Ctrl-C aborts the work in flight; the second ends the process.
for (const name of ["SIGINT", "SIGTERM"] as const) {
  process.once(name, () => stop.abort());
}
// `aiapp status | head` closes our stdout, which is not a failure.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  process.exit(error.code === "EPIPE" ? exitCodes.ok : exitCodes.failed);
});

function version(): string {
  const text = readFileSync(new URL("../package.json", import.meta.url), "utf8");
  const { version }: { version?: unknown } = JSON.parse(text);
  return String(version);
}

function parallelism(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > 64) {
    throw new InvalidArgumentError("It must be a whole number from 1 to 64.");
  }
  return value;
}

function outputOption(): Option {
  return new Option("-o, --output <form>", "what to print")
    .choices(["text", "json"])
    .default("text");
}

function program(name: string): Command {
  const root = new Command(name)
    .description("Publishes model versions and shows the status of AIApps.")
    .version(version())
    .option("--verbose", "show the stack trace of an error")
    .showHelpAfterError("(--help shows the usage)")
    .exitOverride()
    .addHelpText(
      "after",
      `
Examples:
  ${name} publish ./digits-v2 --to https://contoso.blob.core.windows.net/models/digits/2
  ${name} status digits --namespace shop --watch

Exit status: 0 done, 1 failed, 2 wrong usage, 3 the app is not ready (status), 130 interrupted.`,
    );

  root
    .command("publish")
    .summary("publish a folder as a model version")
    .description(
      "Publishes a folder as one version of a model: the files first, manifest.json last.\nIt overwrites nothing; run it again to finish an interrupted publish.",
    )
    .argument("<folder>", "the folder that holds model.onnx, labels.txt, …")
    .requiredOption(
      "--to <url>",
      "https://<account>.blob.core.windows.net/<container>/<name>/<version>",
    )
    .option("--parallel <n>", "concurrent requests", parallelism, 4)
    .option("--allow-http", "allow plain http to another machine", false)
    .option("--any-version", "allow a version that latest and ranges cannot sort", false)
    .addOption(outputOption())
    .option("--verbose", "show the stack trace of an error")
    .addHelpText(
      "after",
      `
Credentials, the first that is set: AZURE_STORAGE_CONNECTION_STRING, AZURE_STORAGE_KEY
(with AZURE_STORAGE_ACCOUNT), AZURE_STORAGE_SAS_TOKEN, else an Azure identity:
az login, workload identity, managed identity, or a service principal (AZURE_CLIENT_ID, …).

Examples:
  az login && ${name} publish ./digits-v2 --to https://contoso.blob.core.windows.net/models/digits/2
  ${name} publish ./digits-v2 --to http://127.0.0.1:10000/devstoreaccount1/models/digits/2`,
    )
    .action(async (folder: string, flags) => {
      const { publishCommand } = await import("./publish/command.ts");
      await publishCommand(folder, flags, terminal, process.env, Date.now, stop.signal);
    });

  root
    .command("status")
    .summary("show what an AIApp serves and what is rolling out")
    .description(
      "Shows what an AIApp serves, what is rolling out, its problems, and what to do about them.",
    )
    .argument("<name>", "the AIApp")
    .option(
      "-n, --namespace <namespace>",
      "its namespace (default: that of the kubeconfig's context)",
    )
    .option("--context <context>", "the kubeconfig's context to use")
    .option("--kubeconfig <file>", "the kubeconfig to use")
    .option("-w, --watch", "refresh until Ctrl-C", false)
    .addOption(outputOption())
    .option("--verbose", "show the stack trace of an error")
    .addHelpText("after", "\nExit status: 0 when the app is ready, 3 when it is not.")
    .action(async (app: string, flags) => {
      const { statusCommand } = await import("./status/command.ts");
      process.exitCode = await statusCommand(app, flags, terminal, Date.now, stop.signal);
    });

  return root;
}

function fail(error: unknown): number {
  if (error instanceof Error && "code" in error && String(error.code).startsWith("commander.")) {
    const help = "exitCode" in error && error.exitCode === 0;
    return help ? exitCodes.ok : exitCodes.usage;
  }
  if (stop.signal.aborted) {
    terminal.err("Interrupted.\n");
    return exitCodes.interrupted;
  }
  const { style } = terminal;
  if (error instanceof CliError) {
    terminal.err(`${style.bad(`error ${error.code}:`)} ${sanitize(error.message)}\n`);
    terminal.err(`  ${style.strong("→")} ${sanitize(error.fix)}\n`);
  } else {
    terminal.err(`${style.bad("error:")} ${sanitize(reasonOf(error))}\n`);
    terminal.err(
      `  ${style.strong("→")} This is a bug in aiapp: run it again with --verbose, and report the output.\n`,
    );
  }
  if (verbose) terminal.err(`${sanitize(inspect(error))}\n`);
  return exitCodeOf(error);
}

try {
  const name = process.env["AIAPP_COMMAND"] === "kubectl-aiapp" ? "kubectl aiapp" : "aiapp";
  await program(name).parseAsync();
} catch (error) {
  process.exitCode = fail(error);
}
