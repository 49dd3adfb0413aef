import { expect, test } from "vitest";

import type { Engine } from "./engine/engine.ts";
import type { PoolState } from "./engine/pool.ts";
import { healthOf } from "./health.ts";
import type { Model } from "./inference/model.ts";

const model: Model = {
  signature: { inputs: [], outputs: [], batch: { kind: "none" } },
  scorePorts: { datatype: "FP32", inputs: new Map() },
  score: async () => [],
  scoring: { output: "y", labels: undefined, image: undefined, sample: undefined },
  labelsOf: () => undefined,
  scoresOf: () => [],
  infer: async () => ({ outputs: new Map(), rows: 0 }),
};

function engineIn(state: PoolState): Engine {
  return {
    signature: model.signature,
    run: async () => new Map(),
    perWorker: [],
    state: () => state,
    waiting: () => 0,
    close: async () => {},
  };
}

test.each<[PoolState, boolean, boolean]>([
  ["ready", true, true],
  ["loading", false, true],
  ["slow", false, true],
  ["hung", false, false],
  ["failed", false, false],
])("workers that are %s: ready %s, live %s", (state, ready, live) => {
  const health = healthOf(model, engineIn(state));
  expect(health).toMatchObject({ ready, live });
  expect(typeof health.reason).toBe(ready ? "undefined" : "string");
});

test("a model that has not answered its samples is not ready, and lives", () => {
  const loading = { ready: false, live: true, reason: "the model is being loaded" };
  expect(healthOf(undefined, undefined)).toEqual(loading);
  expect(healthOf(undefined, engineIn("ready"))).toEqual(loading);
});
