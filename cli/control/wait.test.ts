import { expect, test } from "vitest";

import { CliError } from "../errors.ts";
import { appWith } from "./releases.testing.ts";
import { waitForAnswer } from "./wait.ts";

const idle = new AbortController().signal;

/** Time passes by sleeping alone. */
function clock(timeoutMs: number) {
  let time = 0;
  const sleeps: number[] = [];
  return {
    sleeps,
    waiting: {
      timeoutMs,
      now: () => time,
      sleep: async (ms: number) => {
        sleeps.push(ms);
        time += ms;
      },
      onWait: () => {},
    },
  };
}

test("reads once a second until the answer is there", async () => {
  const { sleeps, waiting } = clock(60_000);
  const app = appWith({});
  let reads = 0;
  const read = async () => {
    reads += 1;
    return app;
  };
  expect(await waitForAnswer(read, () => reads === 3, waiting, idle)).toBe(app);
  expect(sleeps).toEqual([1_000, 1_000]);
});

test("gives up at the timeout, after a last read", async () => {
  const { sleeps, waiting } = clock(2_500);
  let reads = 0;
  const read = async () => {
    reads += 1;
    return appWith({});
  };
  expect(await waitForAnswer(read, () => false, waiting, idle)).toBeUndefined();
  expect(sleeps).toEqual([1_000, 1_000, 500]);
  expect(reads).toBe(4);
});

test("survives an API server that is unavailable, and nothing else", async () => {
  const { waiting } = clock(60_000);
  const errors = [new CliError("ClusterUnavailable", "no", "try"), undefined];
  const read = async () => {
    const error = errors.shift();
    if (error !== undefined) throw error;
    return appWith({});
  };
  expect(await waitForAnswer(read, () => true, waiting, idle)).toBeDefined();
  const gone = new CliError("AppNotFound", "no", "list");
  const failing = waitForAnswer(
    async () => Promise.reject(gone),
    () => true,
    waiting,
    idle,
  );
  await expect(failing).rejects.toBe(gone);
});
