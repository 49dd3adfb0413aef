import { inspect } from "node:util";

import { CliError, exitCodeOf, exitCodes, reasonOf } from "./errors.ts";
import { program } from "./program.ts";
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
  await program(name, terminal, stop.signal).parseAsync();
} catch (error) {
  process.exitCode = fail(error);
}
