import { setImmediate } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

import { expect, it } from "vitest";

import { ShellStage } from "./stage.testing.ts";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

async function played(): Promise<WeakRef<object>> {
  const stage = await ShellStage.open();
  await stage.arm();
  await stage.settle();
  await stage.close();
  return new WeakRef(stage.api);
}

it("a stage that is closed holds no memory: a full run of the crash harness plays tens of thousands", async () => {
  const api = await played();
  await setImmediate();
  collect();
  expect(api.deref()).toBeUndefined();
});
