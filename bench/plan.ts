import { hashOf } from "../operator/aiapp/canonical.ts";
import { deploymentOf, digestOf, World } from "../operator/aiapp/observed.testing.ts";
import { plan } from "../operator/aiapp/plan.ts";
import { atMost, median, reported, type Figure } from "./figures.ts";

/** `plan` of an app at rest, by the number of releases that are kept. */

const RELEASES = [1, 10, 50];
const WARM_UP = 5;
const ROUNDS = 15;
const ROUND_MS = 100;
const BOUND_MICROSECONDS = 100;

/** Microseconds a call: the median of rounds, after some that warm up. */
function measure(work: () => unknown): number {
  const rounds: number[] = [];
  for (let round = 0; round < WARM_UP + ROUNDS; round += 1) {
    const began = performance.now();
    let calls = 0;
    let elapsed = 0;
    while (elapsed < ROUND_MS) {
      for (let call = 0; call < 10; call += 1) work();
      calls += 10;
      elapsed = performance.now() - began;
    }
    if (round >= WARM_UP) rounds.push((elapsed / calls) * 1000);
  }
  return median(rounds);
}

/** An app at rest that has released so many versions of its model, one after the other. */
function worldWith(releases: number): World {
  const world = new World({ release: { historyLimit: releases } });
  for (let version = 1; version <= releases; version += 1) {
    world.publish({ version: String(version), model: digestOf(`model ${version}`) });
    world.poll().converge();
  }
  return world;
}

export function run(): Promise<readonly Figure[]> {
  const figures = RELEASES.flatMap((releases) => {
    const world = worldWith(releases);
    const observed = world.observe();
    const { actions } = plan(observed, world.puller, world.now);
    if (actions.length > 0 || observed.records.length !== releases)
      throw new Error(`the app is not at rest with ${releases} releases`);
    const microseconds = measure(() => plan(observed, world.puller, world.now));
    const name = `plan of an app at rest, ${releases} kept release${releases === 1 ? "" : "s"}`;
    return [atMost(name, microseconds, "µs", BOUND_MICROSECONDS)];
  });
  const deployment = deploymentOf(worldWith(1));
  const hashing = measure(() => hashOf(deployment));
  return Promise.resolve([...figures, reported("hash of one Deployment", hashing, "µs")]);
}
