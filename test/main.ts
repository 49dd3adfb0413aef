import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { execa } from "execa";

import { ensureBinaries } from "./cluster/binaries.ts";
import { ensurePackages, testPackages } from "./cluster/packages.ts";
import { preflight, type Lack } from "./cluster/preflight.ts";
import { untilInterrupted } from "./cluster/process.ts";
import { noCounts, readReport, total, type Counts } from "./report.ts";
import { platformLacks, withPlatform } from "./support/current.ts";
import { runInside } from "./support/outside.ts";

/**
 * `npm test [-- TIER | FILE …]`: runs the tiers one after the other, and prints `N passed, N failed` at the end. It skips
 * the tiers that need a cluster if this machine cannot run one; with CI set, that is a failure.
 */

const root = join(import.meta.dirname, "..");
const tiers = ["unit", "contract", "integration", "e2e"] as const;
type Tier = (typeof tiers)[number];

/** The requirements of a tier that this machine does not meet: contract tests run a real registry, e2e tests a cluster. */
async function lacksOf(tier: Tier): Promise<readonly Lack[]> {
  if (tier === "unit") return [];
  return tier === "e2e" ? platformLacks() : preflight();
}

function isTier(word: string): word is Tier {
  return tiers.some((tier) => tier === word);
}

function tierOf(file: string): Tier {
  return tiers.find((tier) => file.includes(`test/${tier}/`)) ?? "unit";
}

/** The tiers to run, each with the given files (none: the whole tier). */
function selection(words: readonly string[]): Map<Tier, readonly string[]> {
  const files = words.filter((word) => !isTier(word));
  const named = tiers.filter((tier) => words.includes(tier));
  if (files.length > 0 && named.length === 0) {
    return new Map(
      tiers.flatMap((tier) => {
        const own = files.filter((file) => tierOf(file) === tier);
        return own.length > 0 ? [[tier, own] as const] : [];
      }),
    );
  }
  return new Map((named.length > 0 ? named : tiers).map((tier) => [tier, files]));
}

/** Runs vitest on one tier; `run` returns its exit code. */
async function runTier(
  tier: Tier,
  files: readonly string[],
  folder: string,
  run: (command: readonly [string, ...string[]]) => Promise<number>,
): Promise<Counts> {
  const report = join(folder, `${tier}.json`);
  process.stdout.write(`\n${tier}\n`);
  const exitCode = await run([
    join(root, "node_modules", ".bin", "vitest"),
    "run",
    "--root",
    root,
    "--project",
    tier,
    "--reporter=default",
    "--reporter=json",
    `--outputFile.json=${report}`,
    ...files,
  ]);
  return readReport(await readFile(report, "utf8").catch(() => undefined), exitCode);
}

async function runHere(
  [command, ...args]: readonly [string, ...string[]],
  environment: Readonly<Record<string, string>> = {},
): Promise<number> {
  const options = { cwd: root, stdio: "inherit", reject: false, env: environment } as const;
  return (await execa(command, args, options)).exitCode ?? 1;
}

/** Runs one tier, with the programs and the network that it needs. */
async function runOne(tier: Tier, files: readonly string[], folder: string): Promise<Counts> {
  if (tier === "contract") await ensurePackages(undefined, testPackages);
  if (tier === "integration") {
    const { kube, helm } = await ensureBinaries();
    const binaries = { KUBE_BINARY: kube, HELM_BINARY: helm };
    return runTier(tier, files, folder, (command) => runHere(command, binaries));
  }
  if (tier !== "e2e") return runTier(tier, files, folder, runHere);
  // In the network of a cluster of two nodes, because tests drain nodes.
  return withPlatform({ nodes: 2, signal: untilInterrupted() }, (prepared) =>
    runTier(tier, files, folder, (command) => runInside(prepared, command)),
  );
}

async function main(): Promise<void> {
  const { positionals } = parseArgs({ allowPositionals: true });
  const selected = selection(positionals);
  const folder = await mkdtemp(join(tmpdir(), "aiapp-test-"));
  const counts: Counts[] = [];
  // What tests start is compiled once.
  process.env["NODE_COMPILE_CACHE"] ??= join(folder, "compile-cache");
  try {
    for (const [tier, files] of selected) {
      const missing = await lacksOf(tier);
      if (missing.length > 0) {
        process.stdout.write(
          `\n${tier}: skipped, this machine cannot run a cluster: ${missing.map((lack) => lack.what).join("; ")}\n`,
        );
        counts.push({ ...noCounts, ...(process.env["CI"] ? { failed: 1 } : { skipped: 1 }) });
        continue;
      }
      counts.push(await runOne(tier, files, folder));
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  const { passed, failed, skipped } = total(counts);
  process.stdout.write(
    `\n${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}\n`,
  );
  process.exitCode = failed > 0 || passed === 0 ? 1 : 0;
}

await main();
