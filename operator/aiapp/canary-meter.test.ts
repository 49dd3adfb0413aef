import { setImmediate } from "node:timers/promises";

import { describe, expect, it } from "vitest";

import { ManualClock } from "../clock.testing.ts";
import { CanaryMeter, quantile, type MeasuredPod, type PodCounters } from "./canary-meter.ts";
import { readCounters } from "./pod-metrics.ts";

const stable: MeasuredPod = { uid: "a", ip: "10.0.0.1", port: 9090 };
const candidate: MeasuredPod = { uid: "b", ip: "10.0.0.2", port: 9090 };

function counters(requests: number, errors = 0): PodCounters {
  return {
    requests,
    errors,
    buckets: [
      [0.01, requests / 2],
      [0.1, requests],
      [Number.POSITIVE_INFINITY, requests],
    ],
  };
}

async function settle(): Promise<void> {
  for (let turns = 0; turns < 20; turns += 1) await setImmediate();
}

function start(read: (pod: MeasuredPod) => PodCounters | undefined) {
  const clock = new ManualClock();
  const changes: string[] = [];
  const meter = new CanaryMeter({
    clock,
    scrape: async (pod) => read(pod),
    onChange: (app) => changes.push(app),
  });
  meter.follow("shop/cats", { key: "1", stable: [stable], candidate: [candidate] });
  return { clock, meter, changes };
}

describe("a meter of canaries", () => {
  it("counts what happens from when a step begins, for both sets over the same time", async () => {
    let [of, more] = [1000, 10];
    const { clock, meter, changes } = start(({ uid }) =>
      uid === "a" ? counters(of) : counters(more, more / 10),
    );
    await settle();
    expect(meter.of("shop/cats")).toMatchObject({ stable: { requests: 0 } });
    [of, more] = [1200, 110];
    await clock.advance(5000);
    await settle();
    expect(meter.of("shop/cats")).toMatchObject({
      key: "1",
      stable: { requests: 200, errors: 0 },
      candidate: { requests: 100, errors: 10 },
    });
    const { since = 0, until = 0 } = meter.of("shop/cats") ?? {};
    expect(until - since).toBe(5000);
    expect(changes.length).toBe(2);
  });

  it("begins again with each key, and ends without one", async () => {
    const { clock, meter, changes } = start(() => counters(5));
    await settle();
    meter.follow("shop/cats", { key: "2", stable: [stable], candidate: [candidate] });
    expect(meter.of("shop/cats")).toBeUndefined();
    await settle();
    meter.follow("shop/cats", undefined);
    const before = changes.length;
    await clock.advance(60_000);
    await settle();
    expect(changes.length).toBe(before);
  });

  it("says that pods without metrics have none, and goes on", async () => {
    const { clock, meter } = start(({ uid }) => {
      if (uid === "a") throw new Error("connect ECONNREFUSED");
      return undefined;
    });
    await clock.advance(5000);
    await settle();
    expect(meter.of("shop/cats")).toMatchObject({ stable: undefined, candidate: undefined });
  });

  it("counts a container that has restarted from nothing", async () => {
    let of = 100;
    const { clock, meter } = start(() => counters(of));
    await settle();
    of = 30;
    await clock.advance(5000);
    await settle();
    expect(meter.of("shop/cats")?.stable?.requests).toBe(30);
  });
});

describe("the metrics of a pod", () => {
  it("are three of the model server's, with faults of clients left out", () => {
    const text = `# TYPE nv_inference_request_success counter
nv_inference_request_success{model="m",version="1"} 3
nv_inference_request_failure{model="m",version="1",reason="REQUEST_INVALID"} 7
nv_inference_request_failure{model="m",version="1",reason="WORKER_LOST"} 1
aiapp_score_seconds_bucket{le="0.1",model="m",version="1"} 2
aiapp_score_seconds_bucket{le="+Inf",model="m",version="1"} 3
aiapp_score_seconds_sum{model="m",version="1"} 0.4`;
    expect(readCounters(text)).toEqual({
      requests: 4,
      errors: 1,
      buckets: [
        [0.1, 2],
        [Number.POSITIVE_INFINITY, 3],
      ],
    });
  });

  it.each(["", "<html>", "go_goroutines 5", "nv_inference_request_success{} NaN"])(
    "are not seen in %j",
    (text) => {
      expect(readCounters(text)).toBeUndefined();
    },
  );
});

describe("a quantile", () => {
  it.each([
    ["of nothing is unknown", [[1, 0]], undefined],
    [
      "is within its bucket",
      [
        [1, 0],
        [2, 100],
      ],
      1950,
    ],
    [
      "beyond the last bound is that bound",
      [
        [1, 0],
        [Number.POSITIVE_INFINITY, 9],
      ],
      1000,
    ],
  ] as const)("%s", (_, buckets, expected) => {
    expect(quantile(0.95, buckets)).toBe(expected);
  });
});
