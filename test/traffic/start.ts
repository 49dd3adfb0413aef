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
  /** An answer of a release that nobody expects is wrong; otherwise it must only agree with itself. */
  readonly strict?: boolean;
  readonly tolerance?: number;
  readonly expectations?: Expectations;
  readonly pipelined?: { readonly connections: number; readonly depth: number };
  readonly idle?: { readonly connections: number; readonly seconds: number };
  readonly long?: { readonly connections: number; readonly seconds: number };
}

/** Starts a command with pipes for stdin, stdout and stderr: in the cluster's network, where that is elsewhere. */
export type Launch = (command: string, args: readonly string[]) => ChildProcessWithoutNullStreams;

export interface Traffic {
  /** What is right for a release or a model version that is about to come. */
  readonly expect: (more: Expectations) => void;
  readonly snapshot: () => Promise<Summary>;
  /** Finishes what is open and ends the process; again gives the same summary. */
  readonly stop: () => Promise<Summary>;
}

const Line = z.object({ snapshot: Summary.optional(), summary: Summary.optional() });

/** The traffic driver as a process of its own: the load does not disturb who measures, nor the other way round. */
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
  // A driver that ended already takes no more lines: `stop` tells why.
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

  function tell(line: unknown): void {
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
    tell({ snapshot: true });
    return Promise.race([next, result()]);
  }

  if (options.expectations) tell({ expect: options.expectations });
  return { expect: (more) => tell({ expect: more }), snapshot, stop };
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
  // When we die the pipe ends, and so does the driver.
  return [...named, "--until-stdin-ends", ...(options.strict ? ["--strict"] : [])];
}
