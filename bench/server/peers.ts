import { pythonFor } from "../../test/peers/python.ts";
import { atLeast, atMost, median, reported, type Figure } from "../figures.ts";
import {
  contenders,
  protocolRequests,
  type Contender,
  type Requests,
  type Transport,
} from "./contenders.ts";
import { ensureWrk, load, type LoadResult } from "./load.ts";
import { cnn, mlp } from "./models.ts";
import { startOurs } from "./ours.ts";
import type { ServerProcess } from "./process.ts";

/**
 * The model server against servers of Python, on the same model and the same cores. Each runs alone; the model server runs again
 * beside each of them, so that a ratio is of two runs that follow one another.
 */

const CONNECTIONS = [1, 8, 32] as const;
type Connections = (typeof CONNECTIONS)[number];
const SECONDS = 2;
/** Until a server that compiles what it runs often has done so. */
const WARM_UP_SECONDS = 3;
interface Measured {
  readonly results: Readonly<Partial<Record<Transport, Readonly<Record<Connections, LoadResult>>>>>;
  readonly readyMs: number;
  readonly peakMb: number;
}

async function measure(server: ServerProcess, requests: Requests): Promise<Measured> {
  try {
    const results: Record<string, Readonly<Record<Connections, LoadResult>>> = {};
    for (const [transport, request] of Object.entries(requests)) {
      await load(request, { connections: 8, seconds: WARM_UP_SECONDS });
      const at = (connections: Connections): Promise<LoadResult> =>
        load(request, { connections, seconds: SECONDS });
      results[transport] = { 1: await at(1), 8: await at(8), 32: await at(32) };
    }
    return { results, readyMs: server.readyMs, peakMb: (await server.memory()).peakMb };
  } finally {
    await server.close();
  }
}

/** The model server and another one, one after the other. */
interface Pair {
  readonly title: string;
  readonly ours: Measured;
  readonly theirs: Measured;
}

function bestRate({ results }: Measured, connections: Connections): number {
  return Math.max(...Object.values(results).map((of) => of[connections].rate));
}

function rateOf({ results }: Measured, transport: Transport, connections: Connections): number {
  return results[transport]?.[connections].rate ?? Number.NaN;
}

function failedOf({ results }: Measured): number {
  const all = Object.values(results).flatMap((of) => CONNECTIONS.map((at) => of[at].failed));
  return all.reduce((sum, failed) => sum + failed, 0);
}

function figuresOf({ title, ours, theirs }: Pair): readonly Figure[] {
  return [
    ...CONNECTIONS.flatMap((at) => [
      ...Object.keys(theirs.results).map((transport) =>
        reported(
          `${title}: ${transport} at ${at}`,
          rateOf(theirs, transport as Transport, at),
          "req/s",
        ),
      ),
      reported("  ours, raw, against its best", rateOf(ours, "raw", at) / bestRate(theirs, at), ""),
      reported(
        "  ours, JSON, against its JSON",
        rateOf(ours, "JSON", at) / rateOf(theirs, "JSON", at),
        "",
      ),
    ]),
    reported("  its p99 at 32", p99Of(theirs), "ms"),
    reported("  its failed requests", failedOf(theirs), ""),
    reported("  its start to ready", theirs.readyMs, "ms"),
    reported("  its peak memory", theirs.peakMb, "MB"),
  ];
}

/** Of the transport that is faster there. */
function p99Of({ results }: Measured): number {
  const [fastest] = Object.values(results).toSorted((a, b) => b[32].rate - a[32].rate);
  return fastest?.[32].p99Ms ?? Number.NaN;
}

const goals: Readonly<Record<Connections, number>> = { 1: 2, 8: 2, 32: 3 };
const JSON_GOAL = 2;

/** Against whichever other server is the fastest. NaN, and so missed, where there is none. */
function worst(pairs: readonly Pair[], ratio: (pair: Pair) => number): number {
  return pairs.length === 0 ? Number.NaN : Math.min(...pairs.map(ratio));
}

function summaryOf(pairs: readonly Pair[], hasGoals: boolean): readonly Figure[] {
  const held = (name: string, value: number, goal: number): Figure =>
    hasGoals ? atLeast(name, value, "", goal) : reported(name, value, "");
  const failed = pairs.reduce((sum, { ours }) => sum + failedOf(ours), 0);
  return [
    ...CONNECTIONS.map((at) =>
      held(
        `ours, raw, against the best of them at ${at}`,
        worst(pairs, ({ ours, theirs }) => rateOf(ours, "raw", at) / bestRate(theirs, at)),
        goals[at],
      ),
    ),
    ...CONNECTIONS.map((at) =>
      held(
        `ours, JSON, against the best JSON of them at ${at}`,
        worst(pairs, ({ ours, theirs }) => rateOf(ours, "JSON", at) / rateOf(theirs, "JSON", at)),
        JSON_GOAL,
      ),
    ),
    atMost("  failed", failed, "", 0),
  ];
}

/** @param options.cnn measures the CNN in the place of the MLP; without goals, since the runtime takes most of its time */
export async function run({ cnn: isCnn }: { readonly cnn: boolean }): Promise<readonly Figure[]> {
  await ensureWrk();
  const model = isCnn ? await cnn() : await mlp();
  const lacking: Figure[] = [];
  const installed: Contender[] = [];
  for (const contender of contenders) {
    try {
      console.error(`${contender.title}: installing unless it is in the cache …`);
      await pythonFor(contender.packages);
      installed.push(contender);
    } catch (error) {
      lacking.push(
        reported(`${contender.title} does not install: ${reasonOf(error)}`, Number.NaN, ""),
      );
    }
  }
  const pairs: Pair[] = [];
  for (const { title, start, requests } of installed) {
    console.error(`${title} …`);
    const server = await startOurs(model);
    const ours = await measure(server, protocolRequests(server.url, model));
    try {
      const other = await start(model);
      pairs.push({ title, ours, theirs: await measure(other, requests(other.url, model)) });
    } catch (error) {
      lacking.push(reported(`${title} does not serve: ${reasonOf(error)}`, Number.NaN, ""));
    }
  }
  const own = pairs.map(({ ours }) => ours);
  return [
    ...lacking,
    ...oursFigures(own),
    ...pairs.flatMap(figuresOf),
    ...summaryOf(pairs, !isCnn),
  ];
}

/** Over all its runs. */
function oursFigures(runs: readonly Measured[]): readonly Figure[] {
  return [
    ...(["raw", "JSON"] as const).flatMap((transport) =>
      CONNECTIONS.map((at) =>
        reported(
          `ours: ${transport} at ${at}`,
          median(runs.map((one) => rateOf(one, transport, at))),
          "req/s",
        ),
      ),
    ),
    reported("  p99 at 32", median(runs.map(p99Of)), "ms"),
    reported("  start to ready", median(runs.map(({ readyMs }) => readyMs)), "ms"),
    reported("  peak memory", median(runs.map(({ peakMb }) => peakMb)), "MB"),
  ];
}

/** The last line: what a program prints before it ends says why. */
function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.trim().split("\n").at(-1)?.slice(0, 100) ?? "";
}
