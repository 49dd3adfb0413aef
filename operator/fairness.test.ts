import { describe, expect, it } from "vitest";

import { ManualClock } from "./clock.testing.ts";
import { sleep } from "./clock.ts";
import { OperatorError } from "./errors.ts";
import { createLogger } from "./log.ts";
import { createMetrics } from "./metrics.ts";
import { createQueue, type Outcome, type Queue } from "./runtime/queue.ts";
import { createPoller, type Poller } from "./sources/poller.ts";
import type { ImageSeen, Source } from "./sources/source.ts";

/**
 * Two tenants on the operator's own poller and queue, in virtual time. One has a thousand apps that are all broken; the
 * other has one, and publishes.
 */

const SECOND = 1000;
/** As the operator begins. */
const WORKERS = 4;
/** A reconcile with its writes, on a busy API server. A poll that fails takes its host's time. */
const RECONCILE_MS = 25;
const POLL_MS = 500;
const BAD = 1000;

class Operator {
  readonly clock = new ManualClock();
  readonly queue: Queue;
  readonly poller: Poller;
  readonly signal = new AbortController().signal;
  /** When the good app was reconciled, and which digest it saw. */
  readonly seen: { readonly at: number; readonly digest: string | undefined }[] = [];
  /** What the good app's registry has. */
  digest = "sha256:0";
  reconciles = 0;
  readonly good = this.#source("good.example", async () => this.digest);

  constructor() {
    const { clock } = this;
    const metrics = createMetrics();
    const log = createLogger("silent");
    this.queue = createQueue({
      name: "aiapp",
      workers: WORKERS,
      clock,
      metrics,
      work: (key) => this.#reconcile(key),
      onError: () => ({ retry: true }),
    });
    this.poller = createPoller({
      clock,
      log,
      metrics,
      onChange: (key, isNew) => this.queue.add(key, isNew ? "release" : "default"),
    });
  }

  #source(host: string, answer: () => Promise<string>): Source<ImageSeen> {
    return {
      key: host,
      kind: "image",
      host,
      login: "anonymous",
      poll: async () => {
        const digest = await answer();
        return { kind: "image", image: "example.azurecr.io/cats:1", digest, lastPush: undefined };
      },
    };
  }

  async #reconcile(key: string): Promise<Outcome> {
    this.reconciles += 1;
    await sleep(this.clock, RECONCILE_MS, this.signal);
    if (key === "good/cats") {
      this.poller.subscribe(key, [{ source: this.good, intervalMs: SECOND }]);
      const { value } = this.poller.get(this.good);
      this.seen.push({ at: this.clock.now(), digest: value?.digest });
      return { kind: "done" };
    }
    return this.#reconcileBad(key, Number(key.split("-")[1]) % 3);
  }

  async #reconcileBad(key: string, kind: number): Promise<Outcome> {
    // A spec that is not valid, and changes all the time.
    if (kind === 0) this.clock.after(SECOND, () => this.queue.add(key, "user"));
    // Pods that crash: their Deployment's status changes.
    else if (kind === 1) this.clock.after(SECOND, () => this.queue.add(key, "rollout"));
    else {
      const failing = this.#source(`${key}.example`, async () => {
        await sleep(this.clock, POLL_MS, this.signal);
        // Another message each time, so that each is written to the status.
        throw new OperatorError("REGISTRY_UNAVAILABLE", `at ${this.clock.now()}`);
      });
      this.poller.subscribe(key, [{ source: failing, intervalMs: SECOND }]);
      throw new OperatorError("KUBE_UNAVAILABLE", "the write failed");
    }
    return { kind: "done" };
  }

  start(): void {
    for (let n = 0; n < BAD; n += 1) this.queue.add(`bad/app-${n}`, "background");
    this.queue.add("good/cats", "background");
  }
}

describe("a tenant with a thousand broken apps", () => {
  it("delays the release of another tenant by two seconds at most", async () => {
    const operator = new Operator();
    operator.start();
    await operator.clock.advance(10 * SECOND);
    const before = operator.reconciles;
    const delays: number[] = [];
    for (let release = 1; release <= 10; release += 1) {
      operator.digest = `sha256:${release}`;
      const published = operator.clock.now();
      await operator.clock.advance(4 * SECOND);
      const found = operator.seen.find(({ digest }) => digest === operator.digest);
      delays.push((found?.at ?? Number.POSITIVE_INFINITY) - published);
    }
    // The workers had no rest: 160 reconciles a second is all that four can do.
    expect(operator.reconciles - before).toBeGreaterThan(0.95 * 40 * 160);
    // The interval of the poll, its jitter, and the delay.
    expect(Math.max(...delays)).toBeLessThanOrEqual(1.05 * SECOND + 2 * SECOND);
  });
});
