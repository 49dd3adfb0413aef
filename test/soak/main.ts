import { randomOf } from "../../operator/random.testing.ts";
import { untilInterrupted } from "../cluster/process.ts";
import { everyKind, install, setUp, traffic, uninstall } from "../e2e/harness.ts";
import { explainLacks, platformLacks, withPlatform } from "../support/current.ts";
import { runInside } from "../support/outside.ts";
import { GIVEN } from "../support/platform.ts";
import type { Summary } from "../traffic/tally.ts";
import { killAtRandom } from "./kills.ts";
import { readOptions, usage, type SoakOptions } from "./options.ts";
import { badKinds, NAMESPACE, Story, type Kind } from "./steps.ts";

/**
 * `npm run soak`: release after release of one app, good ones and bad ones, under every kind of request, while the operator
 * is killed. Exits with 0 if no request failed, no response was wrong, and every release ended as it should.
 * This program restarts itself in the cluster's network.
 */

async function beside(): Promise<number> {
  const lacks = await platformLacks();
  if (lacks.length > 0) {
    console.error(explainLacks(lacks));
    return 1;
  }
  return withPlatform({ nodes: 2, signal: untilInterrupted() }, (prepared) =>
    runInside(prepared, [process.execPath, import.meta.filename, ...process.argv.slice(2)]),
  );
}

function printSummary({ requests, failed, dropped, kinds, failures }: Summary): void {
  for (const [kind, counts] of Object.entries(kinds)) {
    const { connections, latencyMs } = counts;
    console.log(
      `  ${kind}: ${counts.requests} requests on ${connections} connections, ${counts.failed} failed, p50 ${latencyMs.p50.toFixed(0)} ms, p99 ${latencyMs.p99.toFixed(0)} ms, at most ${latencyMs.max.toFixed(0)} ms`,
    );
  }
  for (const failure of failures) console.error(JSON.stringify(failure));
  console.log(`requests: ${requests}`);
  console.log(`failed requests: ${failed}`);
  if (dropped > 0) console.log(`dropped, too many in flight: ${dropped}`);
}

/** Good releases, with the bad ones spread evenly among them: a good one is first, and after each bad one. */
function stepsOf({ releases, bad }: SoakOptions): readonly Kind[] {
  return Array.from({ length: releases }, (_, index): readonly Kind[] => {
    const [from, to] = [spread(index, bad, releases), spread(index + 1, bad, releases)];
    const after = Array.from(
      { length: to - from },
      (_, one) => badKinds[(from + one) % 4] ?? "model",
    );
    return ["good", ...after];
  }).flat();
}

/** How many of `count` things are due after `done` of `all` steps. */
function spread(done: number, count: number, all: number): number {
  return Math.floor((done * count) / all);
}

async function soak(options: SoakOptions): Promise<boolean> {
  const platform = await install();
  if (options.kills > 0 && platform.given.kind !== "local")
    throw new Error("--kills needs the local cluster: unset AIAPP_CLUSTER");
  await setUp(NAMESPACE, ["1"]);
  const story = new Story(platform);
  const load = await traffic(await story.begin(options.replicas), everyKind);
  story.checkedBy(load);
  const random = randomOf(options.seed);
  const steps = stepsOf(options);
  let kills = 0;
  try {
    for (const [index, kind] of steps.entries()) {
      const due = spread(index + 1, options.kills, steps.length) - kills;
      const ended = new AbortController();
      const began = performance.now();
      const killing = killAtRandom(platform, due, random, ended.signal);
      try {
        await story.run(kind);
      } finally {
        ended.abort();
        kills += await killing;
      }
      const { requests, failed } = await load.snapshot();
      const seconds = ((performance.now() - began) / 1000).toFixed(1);
      console.log(
        `${index + 1} of ${steps.length}: ${kind === "good" ? "a good release" : `bad: ${kind}`} in ${seconds} s; ${requests} requests, ${failed} failed; ${kills} kills`,
      );
    }
  } finally {
    await load.stop();
  }
  const summary = await load.stop();
  console.log(`releases: ${options.releases} good, ${options.bad} bad; operator killed: ${kills}`);
  printSummary(summary);
  await uninstall(platform);
  return summary.failed === 0 && summary.dropped === 0;
}

function optionsOrUsage(): SoakOptions | undefined {
  try {
    return readOptions(process.argv.slice(2));
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n${usage}`);
    return undefined;
  }
}

async function main(): Promise<number> {
  const options = optionsOrUsage();
  if (options === undefined) return 2;
  if (process.env[GIVEN] === undefined) return beside();
  return (await soak(options)) ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
