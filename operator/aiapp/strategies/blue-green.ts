import type { AIAppSpec } from "../../../crds/aiapp/spec.ts";
import { milliseconds } from "../../../crds/grammar/duration.ts";
import { releasedAt, type Ledger } from "../release/ledger.ts";
import type { ReleaseRecord } from "../release/record.ts";
import { otherSet, type SetName } from "../resources/owner.ts";
import { targetOf } from "../steps/target.ts";
import type { Sets } from "./sets.ts";
import {
  servingReplicas,
  type Arrangement,
  type DesiredSet,
  type Strategy,
  type StrategyInput,
} from "./strategy.ts";

/**
 * Two sets, one of which serves. The target comes up whole in the other one, out of the Service; then one write of the
 * Service switches. The set that served before stays as it is for `rollout.keepPrevious`, so that going back is one write
 * of the Service too.
 *
 * It also leads an app home whose candidate set serves, when another strategy is chosen: to the set that those have.
 */
export const blueGreen: Strategy = {
  arrange: (input) => {
    const { ledger, sets } = input;
    const live = liveSet(sets, ledger);
    const target = targetOf(ledger);
    if (target === undefined) return withoutTarget(live);
    const set = placeOf(target, live, input);
    return set === live ? atRest(target, live, input) : bringUp(target, set, live, input);
  },
  isServing: (sets, set) => sets.selected === set,
};

/**
 * The set that runs the stable release: the selected one, if both do or none does. The Service alone does not say it: a
 * cache may show it as it was before a switch, and what serves would be replaced.
 */
export function liveSet(sets: Sets, { stable }: Ledger): SetName {
  const selected = sets.selected === "candidate" ? "candidate" : "stable";
  const runs = (set: SetName): boolean =>
    stable !== undefined && sets[set].deployedReleaseId === stable.id;
  return !runs(selected) && runs(otherSet(selected)) ? otherSet(selected) : selected;
}

function isBlueGreen({ rollout }: AIAppSpec): boolean {
  return rollout?.strategy === "BlueGreen";
}

/** Where the target is to run: with nothing that could serve meanwhile, where it is. */
function placeOf(
  { id }: ReleaseRecord,
  live: SetName,
  { spec, sets, ledger: { stable } }: StrategyInput,
): SetName {
  const isHome = isBlueGreen(spec) || live === "stable";
  if (stable === undefined || !sets[live].exists) return isHome ? live : "stable";
  return isHome && sets[live].deployedReleaseId === id ? live : otherSet(live);
}

function withoutTarget(live: SetName): Arrangement {
  return arrangement(live, live, { [live]: "keep", [otherSet(live)]: "retire" });
}

function arrangement(
  rollsOut: SetName,
  selects: SetName,
  sets: Partial<Record<SetName, DesiredSet>>,
  changesAt?: number,
): Arrangement {
  const { stable = "keep", candidate = "keep" } = sets;
  return { sets: { stable, candidate }, rollsOut, selects, serving: selects, changesAt };
}

/** The target runs where it serves. The other set is kept while it is warm. */
function atRest(target: ReleaseRecord, live: SetName, input: StrategyInput): Arrangement {
  const { spec, sets, ledger, now } = input;
  const { stable, previous } = ledger;
  const other = otherSet(live);
  const run = { record: target, replicas: servingReplicas(spec, sets[live]) };
  const releasedMs = Date.parse((stable && releasedAt(stable)) ?? "");
  const keptUntil = releasedMs + milliseconds(spec.rollout?.keepPrevious ?? "10m");
  const isWarm =
    isBlueGreen(spec) &&
    previous !== undefined &&
    sets[other].deployedReleaseId === previous.id &&
    now < keptUntil;
  if (!isWarm) return arrangement(live, live, { [live]: run, [other]: "retire" });
  const kept = {
    record: previous,
    replicas: replicasBeside(spec, sets, live, sets[other].replicas.wanted),
  };
  return arrangement(live, live, { [live]: run, [other]: kept }, keptUntil);
}

/** The target comes up beside what serves, with as many pods; once all of them are ready, the Service selects them. */
function bringUp(
  target: ReleaseRecord,
  set: SetName,
  live: SetName,
  { spec, sets, ledger: { stable } }: StrategyInput,
): Arrangement {
  const state = sets[set];
  const replicas = replicasBeside(spec, sets, live);
  const isTarget = state.deployedReleaseId === target.id;
  const isReady =
    isTarget && state.isSettled && !state.isRetired && state.replicas.available >= replicas;
  // Once requests reach it, it is not left because of one pod that restarts.
  const isSwitched = isReady || (isTarget && sets.selected === set);
  const runsStable = stable !== undefined && sets[live].deployedReleaseId === stable.id;
  const autoscaled = { record: target, replicas: servingReplicas(spec, state) };
  const beside = {
    record: stable ?? target,
    replicas: isSwitched
      ? replicasBeside(spec, sets, set, sets[live].replicas.wanted)
      : servingReplicas(spec, sets[live]),
  };
  return arrangement(set, isSwitched ? set : live, {
    [set]: isSwitched ? autoscaled : { record: target, replicas },
    [live]: runsStable ? beside : "keep",
  });
}

/** The number of pods of a set that does not serve: what the serving one has, and never fewer than `atLeast`. */
function replicasBeside(
  { replicas, autoscaling }: AIAppSpec,
  sets: Sets,
  serving: SetName,
  atLeast = 0,
): number {
  if (autoscaling === undefined) return replicas ?? 1;
  return Math.max(sets[serving].replicas.wanted, atLeast);
}
