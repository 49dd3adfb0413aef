import { join } from "node:path";

import { execa } from "execa";

import { atLeast, atMost, median, reported, type Figure } from "../figures.ts";
import type { Arrivals, ArrivalsOptions } from "./arrivals.ts";
import { ensureWrk, load, type LoadRequest } from "./load.ts";
import { cnn } from "./models.ts";
import { imageRequest, startOurs } from "./ours.ts";
import { photograph } from "./run.ts";

/** Three times as many requests as the server can answer: those that it takes are answered as at the peak. */

const FACTOR = 3;
const SECONDS = 8;
/** Until the server knows it from a burst (MAX_WAIT_MS), and the burst has been answered. */
const BURST_SECONDS = 12;
const ROUNDS = 3;
/** Enough to keep every worker busy all the time: more only adds to the wait. */
const CONNECTIONS = 32;

async function arrive({ url, headers, body }: LoadRequest, rate: number): Promise<Arrivals> {
  const options: ArrivalsOptions = {
    url,
    headers,
    base64: Buffer.from(body).toString("base64"),
    rate,
    burstSeconds: BURST_SECONDS,
    seconds: SECONDS,
  };
  const program = join(import.meta.dirname, "arrivals.ts");
  const { stdout } = await execa(process.execPath, [program, JSON.stringify(options)]);
  return JSON.parse(stdout) as Arrivals;
}

export async function run(): Promise<readonly Figure[]> {
  await ensureWrk();
  const server = await startOurs(await cnn());
  try {
    const request = imageRequest(server.url, await photograph());
    await load(request, { connections: CONNECTIONS, seconds: 2 });
    const [goodput, tails]: [number[], number[]] = [[], []];
    const rounds: { readonly peakRate: number; readonly over: Arrivals }[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      const peak = await load(request, { connections: CONNECTIONS, seconds: SECONDS });
      const over = await arrive(request, FACTOR * peak.rate);
      rounds.push({ peakRate: peak.rate, over });
      goodput.push(over.goodRate / peak.rate);
      tails.push(over.goodP99Ms / peak.p99Ms);
    }
    const of = (figure: (over: Arrivals) => number): number =>
      median(rounds.map(({ over }) => figure(over)));
    return [
      reported("images: peak rate", median(rounds.map(({ peakRate }) => peakRate)), "req/s"),
      atLeast(`goodput at ${FACTOR} times the peak, against it`, median(goodput), "", 0.9),
      reported(
        "  rejected with 503",
        of(({ rejected, sent }) => rejected / sent),
        "of all",
      ),
      atMost(
        "  within, half of them",
        of(({ rejectedP50Ms }) => rejectedP50Ms),
        "ms",
        10,
      ),
      reported(
        "  within, 99 % of them",
        of(({ rejectedP99Ms }) => rejectedP99Ms),
        "ms",
      ),
      atMost("  p99 of what is accepted, against the peak", median(tails), "", 2),
      reported(
        `  p99 of the first ${BURST_SECONDS} s, a burst`,
        of(({ burstP99Ms }) => burstP99Ms),
        "ms",
      ),
      atMost(
        "  failed otherwise",
        of(({ failed }) => failed),
        "",
        0,
      ),
    ];
  } finally {
    await server.close();
  }
}
