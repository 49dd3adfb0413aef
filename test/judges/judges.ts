import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rename, stat } from "node:fs/promises";
import { join } from "node:path";

import { execa } from "execa";

import { cacheFolder } from "../cluster/layout.ts";

/** Tools of others, each run by its own Go library: what they make of our objects, scripts and rules. */
export type Judge =
  /** An object → `{status, message}` as kstatus computes them. */
  | "kstatus"
  /** `{script, object}` → `{result}` or `{error}`, as Argo CD runs scripts. */
  | "lua"
  /** The text of a rule file → `{errors, rules}`. */
  | "rules"
  /** An expression → `{error?, selectors, grouping}`. */
  | "promql"
  /** `{expression, time, series}` → `{labels, value}` of each series of the vector that Prometheus computes. */
  | "evaluate";

async function digestOfSource(): Promise<string> {
  const hash = createHash("sha256");
  const names = await readdir(import.meta.dirname);
  for (const name of names.filter((name) => /\.(go|mod|sum)$/.test(name)).toSorted())
    hash.update(name).update(await readFile(join(import.meta.dirname, name)));
  return hash.digest("hex").slice(0, 16);
}

/** Builds the program unless it is cached. Takes minutes the first time, milliseconds later. */
async function ensureJudges(): Promise<string> {
  const folder = join(cacheFolder(process.env), "bin");
  const binary = join(folder, `judges-${await digestOfSource()}`);
  if (await stat(binary).catch(() => undefined)) return binary;
  await mkdir(folder, { recursive: true });
  // Renamed when it is whole: several test files may build at once.
  const unfinished = `${binary}.${process.pid}`;
  await execa("go", ["build", "-trimpath", "-ldflags", "-s -w", "-o", unfinished, "."], {
    cwd: import.meta.dirname,
    env: { CGO_ENABLED: "0" },
  });
  await rename(unfinished, binary);
  return binary;
}

/** Building takes longer than a test may. */
export const BUILD_TIMEOUT_MS = 900_000;

/** Puts inputs to a judge, all in one run. @returns its answers in the order of the inputs */
export async function ask(judge: Judge, inputs: readonly unknown[]): Promise<readonly unknown[]> {
  const { stdout } = await execa(await ensureJudges(), [judge], {
    input: inputs.map((input) => JSON.stringify(input)).join("\n"),
  });
  const answers = stdout.split("\n").map((line): unknown => JSON.parse(line));
  if (answers.length !== inputs.length)
    throw new Error(`${judge} gave ${answers.length} answers to ${inputs.length} inputs`);
  return answers;
}
