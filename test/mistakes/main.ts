import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";

import { execa } from "execa";

import { mistakes, type Mistake } from "./mistakes.ts";

/**
 * `npm run mistakes [-- TEXT]`: makes each known mistake in a copy of the tree, and runs the test that must find it. Fails
 * when a mistake is not found, or can no longer be made. With a text: those whose name has it.
 */

const root = join(import.meta.dirname, "..", "..");
const TIMEOUT_MS = 600_000;
const WORKERS = 2;

/** A copy of the tracked files, with the packages of the tree itself. */
async function copyTree(): Promise<string> {
  const copy = await mkdtemp(join(tmpdir(), "aiapp-mistakes-"));
  const { stdout } = await execa("git", ["ls-files", "crds", "operator", "*.json", "*.ts"], {
    cwd: root,
  });
  for (const file of stdout.split("\n")) {
    await mkdir(dirname(join(copy, file)), { recursive: true });
    await cp(join(root, file), join(copy, file));
  }
  await symlink(join(root, "node_modules"), join(copy, "node_modules"));
  return copy;
}

type Result = "found" | "NOT FOUND" | "CANNOT BE MADE" | "NOT RUN";

/** Runs the test with the mistake in place, and takes it back. */
async function tryMistake(copy: string, { file, from, to, test }: Mistake): Promise<Result> {
  const path = join(copy, file);
  const text = await readFile(path, "utf8");
  if (text.split(from).length !== 2) return "CANNOT BE MADE";
  await writeFile(
    path,
    text.replace(from, () => to),
  );
  try {
    const report = join(copy, "report.json");
    await rm(report, { force: true });
    await execa(
      join(root, "node_modules", ".bin", "vitest"),
      [
        "run",
        "--project=unit",
        "--reporter=json",
        `--outputFile=${report}`,
        "--testNamePattern",
        test.title,
        test.file,
      ],
      {
        cwd: copy,
        reject: false,
        timeout: TIMEOUT_MS,
        env: { CRASH: test.faults ?? "", CRASH_BAIL: "1" },
      },
    );
    const { numFailedTests = 0, numPassedTests = 0 } = JSON.parse(
      await readFile(report, "utf8").catch(() => "{}"),
    ) as { numFailedTests?: number; numPassedTests?: number };
    if (numFailedTests > 0) return "found";
    return numPassedTests > 0 ? "NOT FOUND" : "NOT RUN";
  } finally {
    await writeFile(path, text);
  }
}

/** Takes mistakes from a list that all workers share. */
async function work(left: Mistake[], results: Result[]): Promise<void> {
  const copy = await copyTree();
  try {
    for (let mistake = left.shift(); mistake !== undefined; mistake = left.shift()) {
      const began = Date.now();
      const result = await tryMistake(copy, mistake);
      results.push(result);
      const seconds = ((Date.now() - began) / 1000).toFixed(0);
      console.log(`${result.padEnd(14)} ${mistake.name} (${seconds} s)`);
    }
  } finally {
    await rm(copy, { recursive: true, force: true });
  }
}

const { positionals } = parseArgs({ allowPositionals: true });
const chosen = mistakes.filter(({ name }) => name.includes(positionals.join(" ")));
const results: Result[] = [];
const left = [...chosen];
await Promise.all(Array.from({ length: WORKERS }, () => work(left, results)));
const found = results.filter((result) => result === "found").length;
console.log(`\n${found} of ${chosen.length} mistakes found`);
process.exitCode = found === chosen.length && found > 0 ? 0 : 1;
