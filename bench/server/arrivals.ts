import { Agent, request as httpRequest } from "node:http";
import { setTimeout } from "node:timers/promises";

import { quantile } from "../figures.ts";
import type { LoadRequest } from "./load.ts";

/**
 * `node arrivals.ts OPTIONS-AS-JSON`: requests that come at a rate, whether others have been answered or not, as those of
 * many clients do. Prints what became of them. A program of its own: it must not wait for what it measures.
 */
export interface ArrivalsOptions {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly base64: string;
  /** Requests a second. */
  readonly rate: number;
  /** What comes in the first seconds is a burst; after it comes what lasts. */
  readonly burstSeconds: number;
  readonly seconds: number;
}

/** Of the requests that came after the burst, unless it says otherwise. */
export interface Arrivals {
  readonly sent: number;
  /** Answers of 200, by the second in which they came; the first and the last second are no whole ones. */
  readonly goodRate: number;
  readonly goodP99Ms: number;
  /** Of the requests of the burst. */
  readonly burstP99Ms: number;
  readonly rejected: number;
  readonly rejectedP50Ms: number;
  readonly rejectedP99Ms: number;
  /** Other statuses, and requests without an answer, those of the burst too. */
  readonly failed: number;
}

interface Outcome {
  readonly status: number;
  readonly beganMs: number;
  readonly endMs: number;
  readonly ms: number;
}

const agent = new Agent({ keepAlive: true, maxSockets: 1024 });

function send(request: LoadRequest, began: number): Promise<Outcome> {
  const sentAt = performance.now();
  return new Promise((resolve) => {
    const done = (status: number): void => {
      const now = performance.now();
      resolve({ status, beganMs: sentAt - began, endMs: now - began, ms: now - sentAt });
    };
    const { url, headers, body } = request;
    const options = {
      agent,
      method: "POST",
      headers: { ...headers, "content-length": body.length },
    };
    const sent = httpRequest(url, options, (response) => {
      response.resume();
      response.once("end", () => done(response.statusCode ?? 0));
    });
    sent.once("error", () => done(0));
    sent.end(body);
  });
}

async function run(options: ArrivalsOptions): Promise<Arrivals> {
  const { rate, burstSeconds, seconds, base64, ...request } = options;
  const body = Buffer.from(base64, "base64");
  const began = performance.now();
  const lastMs = (burstSeconds + seconds) * 1000;
  const sent: Promise<Outcome>[] = [];
  for (let elapsed = 0; elapsed < lastMs; elapsed = performance.now() - began) {
    while (sent.length < (elapsed / 1000) * rate) sent.push(send({ ...request, body }, began));
    await setTimeout(1);
  }
  const all = await Promise.all(sent);
  const firstMs = burstSeconds * 1000;
  const isBurst = ({ beganMs }: Outcome): boolean => beganMs < firstMs;
  const outcomes = all.filter((outcome) => !isBurst(outcome));
  const good = outcomes.filter(({ status }) => status === 200);
  const rejected = outcomes.filter(({ status }) => status === 503).map(({ ms }) => ms);
  const within = all.filter(
    ({ status, endMs }) => status === 200 && endMs >= firstMs + 1000 && endMs < lastMs,
  );
  return {
    sent: outcomes.length,
    goodRate: within.length / (seconds - 1),
    goodP99Ms: quantile(msOf(good), 0.99),
    burstP99Ms: quantile(msOf(all.filter(isBurst).filter(({ status }) => status === 200)), 0.99),
    rejected: rejected.length,
    rejectedP50Ms: quantile(rejected, 0.5),
    rejectedP99Ms: quantile(rejected, 0.99),
    failed: all.filter(({ status }) => status !== 200 && status !== 503).length,
  };
}

function msOf(outcomes: readonly Outcome[]): number[] {
  return outcomes.map(({ ms }) => ms);
}

process.stdout.write(`${JSON.stringify(await run(JSON.parse(process.argv[2] ?? "")))}\n`);
