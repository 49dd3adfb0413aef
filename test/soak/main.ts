import { parseArgs } from "node:util";

import type { AIApp } from "../../crds/aiapp/aiapp.ts";
import { untilInterrupted } from "../cluster/process.ts";
import {
  apply,
  digits,
  everyKind,
  install,
  patch,
  serving,
  setUp,
  traffic,
  uninstall,
} from "../e2e/harness.ts";
import { explainLacks, platformLacks, withPlatform } from "../support/current.ts";
import { runInside } from "../support/outside.ts";
import { GIVEN } from "../support/platform.ts";
import type { Summary } from "../traffic/tally.ts";

/**
 * `npm run soak -- [--releases 50] [--replicas 1]`: rolls out release after release of one app, under every kind of request.
 * Exits with 0 if no request failed. This program restarts itself in the cluster's network.
 */

const NAMESPACE = "soak";
const NAME = "digits";
const MOST = 10_000;

const usage = `usage: npm run soak -- [--releases N] [--replicas N]
  --releases N  how many, one after the other (50; at most ${MOST})
  --replicas N  of the app (1; at most 10)`;

interface Options {
  readonly releases: number;
  readonly replicas: number;
}

function amount(name: string, text: string, most: number): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > most)
    throw new Error(`--${name} must be a whole number from 1 to ${most}, not ${text}`);
  return value;
}

function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      releases: { type: "string", default: "50" },
      replicas: { type: "string", default: "1" },
    },
  });
  return {
    releases: amount("releases", values.releases, MOST),
    replicas: amount("replicas", values.replicas, 10),
  };
}

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

async function soak({ releases, replicas }: Options): Promise<boolean> {
  const platform = await install();
  await setUp(NAMESPACE, ["1", "2"]);
  await apply(platform, digits(platform, NAMESPACE, NAME, { replicas }));
  const isVersion =
    (version: string) =>
    ({ status }: AIApp): boolean =>
      status?.current?.modelVersion === version;
  const first = await serving(platform, NAMESPACE, NAME, "the first release", isVersion("1"));
  const load = await traffic(first.status?.url, everyKind);
  try {
    for (let done = 1; done <= releases; done += 1) {
      const version = done % 2 === 1 ? "2" : "1";
      const began = performance.now();
      await patch(platform, NAMESPACE, NAME, { modelVersion: version });
      await serving(platform, NAMESPACE, NAME, `version ${version}`, isVersion(version));
      const { requests, failed } = await load.snapshot();
      const seconds = ((performance.now() - began) / 1000).toFixed(1);
      console.log(
        `release ${done} of ${releases}: version ${version} in ${seconds} s; ${requests} requests, ${failed} failed`,
      );
    }
  } finally {
    await load.stop();
  }
  const summary = await load.stop();
  console.log(`releases: ${releases}`);
  printSummary(summary);
  await uninstall(platform);
  return summary.failed === 0 && summary.dropped === 0;
}

function optionsOrUsage(): Options | undefined {
  try {
    return readOptions();
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
