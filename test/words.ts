import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";

import { findWords } from "./support/words.ts";

/** `npm run words`: fails if a file uses a word that `support/words.ts` lists. `--all` also counts what is pending. */

const root = join(import.meta.dirname, "..");

/** Files and folders (with a trailing `/`) whose words are not checked yet. Remove an entry once it has no hits. */
const PENDING: readonly string[] = [];

interface Allowed {
  readonly file: string;
  /** Only lines that contain this text; absent: the whole file. */
  readonly text?: string;
  readonly reason: string;
}

const ALLOWED: readonly Allowed[] = [
  { file: "test/words.ts", reason: "names the allowed words" },
  { file: "test/support/words.ts", reason: "lists the words" },
  { file: "test/support/words.test.ts", reason: "tests the list" },
  {
    file: "docs/errors.md",
    text: "answered what it should not",
    reason: "quotes operator/errors.ts, which is pending",
  },
  {
    file: "docs/errors.md",
    text: "has not the",
    reason: "quotes operator/errors.ts, which is pending",
  },
];

function isAllowed(file: string, line: string): boolean {
  return ALLOWED.some(
    (entry) => entry.file === file && (entry.text === undefined || line.includes(entry.text)),
  );
}

function isPending(file: string): boolean {
  return PENDING.some((entry) => (entry.endsWith("/") ? file.startsWith(entry) : file === entry));
}

function trackedFiles(): readonly string[] {
  const kinds = ["*.ts", "*.mjs", "*.js", "*.md", "*.yaml", "*.txt", "*.tpl"];
  const options = { cwd: root, encoding: "utf8" } as const;
  // Files that are not added yet are checked as well; deleted ones cannot be.
  const list = (...flags: readonly string[]): readonly string[] =>
    execFileSync("git", ["ls-files", "-z", ...flags, "--", ...kinds], options)
      .split("\0")
      .filter((file) => file !== "");
  const deleted = new Set(list("--deleted"));
  return list("--cached", "--others", "--exclude-standard").filter((file) => !deleted.has(file));
}

let failures = 0;
const pending = new Map<string, number>();
for (const file of trackedFiles()) {
  const text = readFileSync(join(root, file), "utf8");
  const lines = text.split("\n");
  const hits = findWords(text).filter(({ line }) => !isAllowed(file, lines[line - 1] ?? ""));
  if (isPending(file)) {
    pending.set(file, hits.length);
    continue;
  }
  for (const { line, found, write } of hits) {
    console.error(`${file}:${line}: "${found}": write ${write}`);
    failures += 1;
  }
}
if (process.argv.includes("--all")) {
  for (const [file, count] of pending) if (count > 0) console.log(`${file}: ${count} (pending)`);
}
if (failures > 0) {
  console.error(`${failures} words that the project does not use; docs/glossary.md has its terms`);
  process.exitCode = 1;
}
