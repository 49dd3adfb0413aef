import { milliseconds } from "../../../crds/grammar/duration.ts";
import { phaseOf, releasedAt } from "../release/ledger.ts";
import type { ReleaseRecord } from "../release/record.ts";
import { compare } from "./measurement.ts";
import { rolling } from "./rolling.ts";
import {
  servingReplicas,
  type Arrangement,
  type Judgement,
  type Strategy,
  type StrategyInput,
} from "./strategy.ts";

/**
 * Pods of the new release beside the stable ones, so many that they get a share of the requests; the share rises in steps.
 * After the last step the stable set is rolled over to the release, and the candidate set is deleted.
 *
 * The step that a release is in is the number of its entries for this rollout in the journal.
 */
export const canary: Strategy = {
  arrange: (input) => {
    const progress = progressOf(input);
    if (progress === undefined) return rolling.arrange(input);
    return progress.step === undefined ? promote(progress, input) : takeStep(progress, input);
  },
  isServing: (_, set) => set === "stable",
  judge,
};

interface Step {
  readonly weight: number;
  readonly pause: string;
}

interface Progress {
  readonly record: ReleaseRecord;
  readonly stable: ReleaseRecord;
  /** Counts from 1. */
  readonly index: number;
  readonly steps: readonly Step[];
  /** Undefined after the last one. */
  readonly step: Step | undefined;
}

/** Undefined when nothing is to be tried: no rollout, nothing that serves, or a release that served before. */
function progressOf({ spec, sets, ledger }: StrategyInput): Progress | undefined {
  const { candidate: record, stable } = ledger;
  if (record === undefined || stable === undefined || phaseOf(record) !== "RollingOut")
    return undefined;
  if (sets.stable.replicas.wanted === 0 || !sets.stable.exists || releasedAt(record) !== undefined)
    return undefined;
  const steps = spec.rollout?.canary?.steps ?? [];
  const before = record.journal.findLastIndex(({ phase }) => phase !== "RollingOut");
  const index = record.journal.length - 1 - before;
  const isPromoted = sets.stable.deployedReleaseId === record.id;
  return { record, stable, index, steps, step: isPromoted ? undefined : steps[index - 1] };
}

/** Pods of the candidate beside `stable` ones, for a share of all of them. */
export function podsFor(weight: number, stable: number): number {
  return Math.max(1, Math.round((stable * weight) / (100 - weight)));
}

function takeStep(progress: Progress, input: StrategyInput): Arrangement {
  const { record, stable, index, steps, step } = progress;
  const { spec, sets, measured } = input;
  const wanted = sets.stable.replicas.wanted;
  const replicas = podsFor(step?.weight ?? 0, wanted);
  const isOpen = isOpenFor(record, input);
  const share = Math.round((100 * replicas) / (wanted + replicas));
  const before = record.journal.at(-1)?.message;
  const key = `${record.id}/${record.revision}/${index}`;
  const isMeasured =
    sets.selected === "both" && isOpen && (sets.candidate.isSettled || measured?.key === key);
  return {
    sets: {
      stable: { record: stable, replicas: servingReplicas(spec, sets.stable) },
      candidate: { record, replicas },
    },
    rollsOut: "candidate",
    selects: isOpen ? "both" : "stable",
    serving: "stable",
    changesAt: undefined,
    note:
      `step ${index} of ${steps.length}: ${replicas} of ${wanted + replicas} pods (${share} % of the requests) for ${step?.pause}` +
      (before === undefined ? "" : `; before: ${before}`),
    ...(isMeasured && { measures: { key, stable, candidate: record } }),
  };
}

/** The Service selects both sets once every pod of the candidate set is of the release. */
function isOpenFor({ id }: ReleaseRecord, { sets }: StrategyInput): boolean {
  const { deployedReleaseId, isRetired, isSettled, replicas } = sets.candidate;
  if (deployedReleaseId !== id || isRetired) return false;
  return isSettled || (sets.selected === "both" && replicas.total === replicas.updated);
}

function promote({ record, steps }: Progress, input: StrategyInput): Arrangement {
  const { spec, sets } = input;
  const isOpen = isOpenFor(record, input);
  const weight = steps.at(-1)?.weight ?? 0;
  return {
    sets: {
      stable: { record, replicas: servingReplicas(spec, sets.stable) },
      // They serve until the stable set does.
      candidate: isOpen
        ? { record, replicas: podsFor(weight, sets.stable.replicas.wanted) }
        : "retire",
    },
    rollsOut: "stable",
    selects: isOpen ? "both" : "stable",
    serving: "stable",
    changesAt: undefined,
  };
}

function judge(input: StrategyInput): Judgement | undefined {
  const progress = progressOf(input);
  const { measures } = canary.arrange(input);
  const { measured, sets } = input;
  if (progress?.step === undefined || measured === undefined || measures?.key !== measured.key)
    return undefined;
  const { index, steps, step } = progress;
  const isOver = measured.until - measured.since >= milliseconds(step.pause);
  const { isWorse, message } = compare(measured, isOver);
  const what = `step ${index} of ${steps.length}`;
  if (isWorse) return { kind: "worse", reason: "CanaryWorse", message: `${what}: ${message}` };
  return isOver && sets.candidate.isSettled
    ? { kind: "next", message: `${what} passed: ${message}` }
    : undefined;
}
