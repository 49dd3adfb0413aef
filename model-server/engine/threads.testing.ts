import type { Worker } from "node:worker_threads";

import { afterAll, afterEach } from "vitest";

import type { FromWorker } from "./messages.ts";

/** Those that live, and those that have loaded the model. */
export const threads = new Set<Worker>();
export const loaded = new Set<Worker>();

/** From here on threads are seen. Registered before a test's own hooks, so that it forgets them after these. */
export function watchThreads(): void {
  // Node.js emits an event for each worker that is started.
  const seen = (thread: Worker): void => {
    threads.add(thread);
    thread.once("exit", () => threads.delete(thread));
    thread.on("message", ({ kind }: FromWorker) => {
      if (kind === "ready") loaded.add(thread);
    });
  };
  process.on("worker", seen);
  afterEach(() => {
    threads.clear();
    loaded.clear();
  });
  afterAll(() => process.off("worker", seen));
}

/** A message that no engine sends: the thread dies of it, in front of the work that waits for it. */
export function kill(thread: Worker | undefined): void {
  thread?.postMessage(null, []);
}
