import { blueGreen, liveSet } from "./blue-green.ts";
import { canary } from "./canary.ts";
import { rolling } from "./rolling.ts";
import type { Arrangement, Judgement, Strategy, StrategyInput } from "./strategy.ts";
import type { SetState } from "./sets.ts";
import type { SetName } from "../resources/owner.ts";

/** The set that rolls the target out, and how far it is. */
export interface Rollout extends SetState {
  readonly set: SetName;
  /** Requests of users reach it. */
  readonly isServing: boolean;
}

const strategies = {
  Rolling: rolling,
  BlueGreen: blueGreen,
  Canary: canary,
} as const satisfies Record<string, Strategy>;

function strategyOf({ spec, sets, ledger }: StrategyInput): Strategy {
  // Other strategies begin where the stable set serves.
  if (liveSet(sets, ledger) === "candidate") return blueGreen;
  return strategies[spec.rollout?.strategy ?? "Rolling"];
}

/** What should exist, by the strategy that counts now. */
export function arrange(input: StrategyInput): Arrangement {
  return strategyOf(input).arrange(input);
}

export function judge(input: StrategyInput): Judgement | undefined {
  return strategyOf(input).judge?.(input);
}

export function readRollout(input: StrategyInput): Rollout {
  const strategy = strategyOf(input);
  const { rollsOut } = strategy.arrange(input);
  const isServing = strategy.isServing(input.sets, rollsOut);
  return { ...input.sets[rollsOut], set: rollsOut, isServing };
}

/** Whether a release is fully rolled out. */
export function isComplete(
  { deployedReleaseId, isSettled, isServing }: Rollout,
  id: string,
): boolean {
  return deployedReleaseId === id && isSettled && isServing;
}
