import { randomOf } from "../../operator/random.testing.ts";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { execa } from "execa";

import { mutantsOf, type Mutant } from "./mutants.ts";

/**
 * `npm run mutate -- [--count 40] [--seed 1] [FILE …]`: changes one place of a source file at a time, and runs the unit
 * tests of its folder. A mutant that no test notices survives: a test is missing, or the change means nothing.
 * Works in the files themselves and puts them back; run it on a clean work tree.
 */

const root = join(import.meta.dirname, "..", "..");
const SCOPE = ["operator/aiapp/**/*.ts", "operator/sources/**/*.ts", "crds/grammar/**/*.ts"];
const TIMEOUT_MS = 180_000;
/** Would take each mutant minutes, and a mutant that takes too long counts as noticed. */
const LONG = "operator/aiapp/shell/simulation*.test.ts";

interface Place extends Mutant {
  readonly file: string;
  readonly text: string;
}

async function filesOf(patterns: readonly string[]): Promise<readonly string[]> {
  const { stdout } = await execa("git", ["ls-files", ...patterns], { cwd: root });
  return stdout.split("\n").filter((file) => file !== "" && !/\.(test|testing)\.ts$/.test(file));
}

function lineOf({ text, start }: Place): number {
  return text.slice(0, start).split("\n").length;
}

function describe(place: Place): string {
  const { file, text, start, end, replacement } = place;
  return `${file}:${lineOf(place)}: ${text.slice(start, end).trim()} → ${replacement.trim()}`;
}

/** Whether a test fails. */
async function isKilled({ file, text, start, end, replacement }: Place): Promise<boolean> {
  const path = join(root, file);
  writeFileSync(path, text.slice(0, start) + replacement + text.slice(end));
  try {
    const vitest = join(root, "node_modules", ".bin", "vitest");
    const args = ["related", "--run", "--project", "unit", "--bail", "1", "--exclude", LONG, path];
    const { exitCode, timedOut } = await execa(vitest, args, {
      cwd: root,
      reject: false,
      timeout: TIMEOUT_MS,
    });
    return timedOut || exitCode !== 0;
  } finally {
    writeFileSync(path, text);
  }
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    count: { type: "string", default: "40" },
    seed: { type: "string", default: "1" },
  },
});
const { stdout: changes } = await execa("git", ["status", "--porcelain"], { cwd: root });
if (changes !== "") {
  process.stderr.write("the work tree has changes: commit or stash them first\n");
  process.exit(1);
}
const next = randomOf(Number(values.seed));
const places = (await filesOf(positionals.length > 0 ? positionals : SCOPE)).flatMap((file) => {
  const text = readFileSync(join(root, file), "utf8");
  return mutantsOf(file, text).map((mutant): Place => ({ ...mutant, file, text }));
});
const chosen = places
  .map((place) => ({ place, order: next() }))
  .toSorted((a, b) => a.order - b.order)
  .slice(0, Number(values.count))
  .map(({ place }) => place);
const survivors: Place[] = [];
for (const place of chosen) {
  const killed = await isKilled(place);
  process.stdout.write(`${killed ? "killed  " : "SURVIVED"} ${describe(place)}\n`);
  if (!killed) survivors.push(place);
}
process.stdout.write(
  `\n${chosen.length} of ${places.length} mutants: ${chosen.length - survivors.length} killed, ${survivors.length} survived\n`,
);
