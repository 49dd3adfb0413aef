import type { ChildProcessWithoutNullStreams } from "node:child_process";
import { spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";

import { z } from "zod";

import type { Expectations } from "./check.ts";
import { Summary } from "./tally.ts";

export interface TrafficOptions {
  /** `http://<address>/score`. */
  readonly url: string;
  readonly pictures: readonly string[];
  readonly rate?: number;
  readonly sockets?: number;
  readonly timeoutSeconds?: number;
  readonly maxRequests?: number;
  readonly maxSeconds?: number;
  /** Whether a response of a release without expectations is wrong; otherwise it only has to be consistent. */
  readonly strict?: boolean;
  readonly tolerance?: number;
  readonly expectations?: Expectations;
  readonly pipelined?: { readonly connections: number; readonly depth: number };
  readonly idle?: { readonly connections: number; readonly seconds: number };
  readonly long?: { readonly connections: number; readonly seconds: number };
}

/** Starts a command with pipes for stdin, stdout and stderr, perhaps in the cluster's network. */
export type Launch = (command: string, args: readonly string[]) => ChildProcessWithoutNullStreams;

export interface Traffic {
  /** Adds expected responses of a release or a model version. */
  readonly expect: (more: Expectations) => void;
  readonly snapshot: () => Promise<Summary>;
  /** Waits for the requests in flight and ends the process. Idempotent. */
  readonly stop: () => Promise<Summary>;
}

const Line = z.object({ snapshot: Summary.optional(), summary: Summary.optional() });

/** Starts the traffic driver in a process of its own, so that load and measurement do not disturb each other. */
export function startTraffic(options: TrafficOptions, launch: Launch = launchHere): Traffic {
  const child = launch(process.execPath, [
    join(import.meta.dirname, "main.ts"),
    ...argumentsOf(options),
  ]);
  const snapshots: ((summary: Summary) => void)[] = [];
  let summary: Summary | undefined;
  let errors = "";
  child.stderr.on("data", (chunk: Buffer) => {
    errors = (errors + chunk.toString()).slice(-10_000);
  });
  // A driver that has exited reads no more lines; `stop` reports why it exited.
  child.stdin.on("error", () => {});
  createInterface({ input: child.stdout }).on("line", (text) => {
    const line = Line.parse(JSON.parse(text));
    if (line.snapshot) snapshots.shift()?.(line.snapshot);
    if (line.summary) summary = line.summary;
  });
  const closed = new Promise<void>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", () => resolve());
  });
  closed.catch(() => {});

  function send(line: unknown): void {
    child.stdin.write(`${JSON.stringify(line)}\n`);
  }

  async function result(): Promise<Summary> {
    await closed;
    if (summary) return summary;
    throw new Error(`the traffic driver ended without a summary: ${errors}`);
  }

  async function stop(): Promise<Summary> {
    child.stdin.end();
    return result();
  }

  async function snapshot(): Promise<Summary> {
    const next = new Promise<Summary>((resolve) => snapshots.push(resolve));
    send({ snapshot: true });
    return Promise.race([next, result()]);
  }

  if (options.expectations) send({ expect: options.expectations });
  return { expect: (more) => send({ expect: more }), snapshot, stop };
}

function launchHere(command: string, args: readonly string[]): ChildProcessWithoutNullStreams {
  return spawn(command, args, { stdio: "pipe" });
}

function argumentsOf(options: TrafficOptions): string[] {
  const pairs: readonly (readonly [string, string | number | undefined])[] = [
    ["url", options.url],
    ...options.pictures.map((file) => ["picture", file] as const),
    ["rate", options.rate],
    ["sockets", options.sockets],
    ["timeout", options.timeoutSeconds],
    ["requests", options.maxRequests],
    ["seconds", options.maxSeconds],
    ["tolerance", options.tolerance],
    ["pipelined", options.pipelined?.connections],
    ["depth", options.pipelined?.depth],
    ["idle", options.idle?.connections],
    ["idle-seconds", options.idle?.seconds],
    ["long", options.long?.connections],
    ["long-seconds", options.long?.seconds],
  ];
  const named = pairs.flatMap(([name, value]) =>
    value === undefined ? [] : [`--${name}`, String(value)],
  );
  // The driver exits when its stdin ends, and so with this process.
  return [...named, "--until-stdin-ends", ...(options.strict ? ["--strict"] : [])];
}
