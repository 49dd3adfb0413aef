import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";

import { describe, expect, it } from "vitest";

/** The promises of docs/security.md, held to the tests that they name. */

const root = join(import.meta.dirname, "..");
const page = readFileSync(join(import.meta.dirname, "security.md"), "utf8");

const files = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard"], {
  cwd: root,
  encoding: "utf8",
}).split("\n");

/** The cells of each row of the tables of promises: what is promised, and the tests. */
const rows = page
  .split(/^(?=\| )/m)
  .flatMap((line) => /^\| (.*) \|$/m.exec(line)?.[1] ?? [])
  .map((line) => line.split(" | ").map((cell) => cell.trim()))
  .filter(([first = ""]) => !/ promises?$/.test(first) && !/^-+$/.test(first));

/** Paths may leave out the first folders. */
function filesOf(name: string): readonly string[] {
  return files.filter((file) => file === name || file.endsWith(`/${name}`));
}

describe("docs/security.md", () => {
  it("has a test for each promise", () => {
    expect(rows.length).toBeGreaterThan(10);
    const without = rows.filter(([, tests = ""]) => !/`[^`]+\.test\.ts`/.test(tests));
    expect(without.map(([promise]) => promise)).toEqual([]);
  });

  it("names tests that exist, each unmistakably", () => {
    const named = [...page.matchAll(/`([\w./-]+\.test\.ts)`/g)].map(([, name = ""]) => name);
    const wrong = named.filter((name) => filesOf(name).length !== 1);
    expect(wrong.map((name) => `${name}: ${filesOf(name).join(", ") || "no such file"}`)).toEqual(
      [],
    );
  });
});
