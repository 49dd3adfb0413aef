import { readFile, writeFile } from "node:fs/promises";
import { basename, extname } from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";

import { z } from "zod";

import { createScoreCheck, Expectations } from "./check.ts";
import type { Load } from "./driver.ts";
import { drive } from "./driver.ts";
import { createTally } from "./tally.ts";

/**
 * Sends traffic at a constant rate to a scoring server, and checks every response:
 * `node test/traffic/main.ts --url http://IP/score --picture FILE --rate 60 --json FILE`.
 * After SIGTERM it waits for the requests in flight and prints `{"summary": {…}}`. The exit status is 0 if no request
 * failed and none was dropped, 1 otherwise, 2 for a usage error.
 * Lines on stdin: `{"expect": {…}}` adds expectations, `{"snapshot": true}` prints `{"snapshot": {…}}`.
 */

const usage = `Usage: node test/traffic/main.ts --url http://HOST[:PORT]/score --picture FILE [--picture FILE …]
  --rate N            requests a second, half kept and half fresh connections (60; 0: none)
  --sockets N         kept connections (10)
  --expect FILE       {"<release or model version>": {"<picture or *>": "<label>" or the whole answer}}
  --strict            a response of a release without expectations is wrong (default: it must be consistent)
  --tolerance X       between numbers (0.01)
  --timeout SECONDS   for one answer (10)
  --requests N        at most (1000000)       --seconds N  at most (3600)
  --pipelined N       connections with --depth (4) requests at once
  --idle N            connections that rest --idle-seconds (10) between requests
  --long N            requests at a time that take --long-seconds (5) to send
  --until-stdin-ends  stop when stdin ends, as SIGTERM does
  --json FILE         write the summary there too`;

const types: Readonly<Record<string, string>> = {
  ".png": "image/png",
  ".jpg": "image/jpeg",
  ".jpeg": "image/jpeg",
  ".webp": "image/webp",
  ".json": "application/json",
};

const ControlLine = z.object({
  expect: Expectations.optional(),
  snapshot: z.literal(true).optional(),
});

function options() {
  const text = (fallback: string) => ({ type: "string", default: fallback }) as const;
  return parseArgs({
    options: {
      url: { type: "string" },
      picture: { type: "string", multiple: true },
      json: { type: "string" },
      expect: { type: "string" },
      strict: { type: "boolean", default: false },
      "until-stdin-ends": { type: "boolean", default: false },
      rate: text("60"),
      sockets: text("10"),
      tolerance: text("0.01"),
      timeout: text("10"),
      requests: text("1000000"),
      seconds: text("3600"),
      pipelined: text("0"),
      depth: text("4"),
      idle: text("0"),
      "idle-seconds": text("10"),
      long: text("0"),
      "long-seconds": text("5"),
    },
  }).values;
}

function amount(name: string, value: string, most: number): number {
  const parsed = Number(value);
  if (value.trim() === "" || !(parsed >= 0 && parsed <= most)) {
    throw new Error(`--${name} must be a number from 0 to ${most}, not ${value}`);
  }
  return parsed;
}

async function loadOf(given: ReturnType<typeof options>): Promise<Load> {
  const url = URL.parse(given.url ?? "");
  if (url?.protocol !== "http:") throw new Error("--url must be an http:// URL");
  if (!given.picture) throw new Error("--picture names no file");
  const connections = (name: "pipelined" | "idle" | "long"): number =>
    amount(name, given[name], 1_000);
  return {
    url,
    pictures: await Promise.all(
      given.picture.map(async (file) => ({
        name: basename(file),
        contentType: types[extname(file)] ?? "application/octet-stream",
        body: await readFile(file),
      })),
    ),
    rate: amount("rate", given.rate, 10_000),
    sockets: amount("sockets", given.sockets, 1_000),
    timeoutMs: amount("timeout", given.timeout, 600) * 1000,
    maxOpen: 500,
    maxRequests: amount("requests", given.requests, 100_000_000),
    maxSeconds: amount("seconds", given.seconds, 86_400),
    pipelined: { connections: connections("pipelined"), depth: amount("depth", given.depth, 100) },
    idle: {
      connections: connections("idle"),
      seconds: amount("idle-seconds", given["idle-seconds"], 3_600),
    },
    long: {
      connections: connections("long"),
      seconds: amount("long-seconds", given["long-seconds"], 3_600),
    },
  };
}

async function main(): Promise<number> {
  const given = options();
  const load = await loadOf(given);
  const { check, expect } = createScoreCheck({
    learn: !given.strict,
    tolerance: amount("tolerance", given.tolerance, 1e9),
    ...(given.expect
      ? { expectations: Expectations.parse(JSON.parse(await readFile(given.expect, "utf8"))) }
      : {}),
  });
  const now = (): number => performance.now();
  const tally = createTally(now, Date.now);

  const stop = new AbortController();
  for (const name of ["SIGTERM", "SIGINT"] as const) process.once(name, () => stop.abort());
  const control = createInterface({ input: process.stdin });
  if (given["until-stdin-ends"]) control.once("close", () => stop.abort());
  control.on("line", (line) => {
    const { expect: more, snapshot } = ControlLine.parse(JSON.parse(line));
    if (more) expect(more);
    if (snapshot) console.log(JSON.stringify({ snapshot: tally.summary() }));
  });
  try {
    await drive(load, check, tally, now, stop.signal);
  } finally {
    control.close();
    process.stdin.destroy();
  }
  const summary = tally.summary();
  if (given.json) await writeFile(given.json, `${JSON.stringify(summary, null, 2)}\n`);
  console.log(JSON.stringify({ summary }));
  const { requests, failed, dropped } = summary;
  return requests > 0 && failed === 0 && dropped === 0 ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(`${error instanceof Error ? error.message : String(error)}\n\n${usage}`);
  process.exitCode = 2;
}
