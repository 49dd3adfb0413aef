import { kinds } from "../../kube/types.ts";
import type { Scenario } from "./scenario.testing.ts";
import type { Snapshot } from "./snapshot.testing.ts";
import { ShellStage, type Faults } from "./stage.testing.ts";

/** How a scenario went. */
export interface Played {
  /** Of each app. */
  readonly snapshots: readonly Snapshot[];
  /** Broken invariants, and errors of reconciles that only a mistake explains. */
  readonly problems: readonly string[];
  /** Of the process to which the faults happen. */
  readonly writes: number;
  readonly reads: number;
}

export async function playWith(scenario: Scenario, faults: Faults): Promise<Played> {
  const stage = await ShellStage.open(scenario.spec, scenario.apps);
  try {
    await scenario.prepare?.(stage);
    await stage.arm(faults);
    await scenario.play(stage);
    const writes = stage.count("write");
    return {
      snapshots: await stage.snapshots(),
      problems: [
        ...stage.invariants.violations,
        ...stage.webhooks.premature,
        ...(await stage.leftovers()),
        ...stage.mistakes.map(String),
      ],
      writes,
      reads: stage.count("any") - writes,
    };
  } finally {
    await stage.close();
  }
}

/** Before a write of the first process arrives, the second one works for so long. Milliseconds. */
const PAUSES = [0, 1000, 30_000] as const;
const LAGS = [1, 2, 3] as const;
const MISSES = 24;

/** Everything that can go wrong in a scenario, one at a time. */
export function faultsOf({ writes, reads }: Pick<Played, "writes" | "reads">): readonly Faults[] {
  const upTo = (count: number): readonly number[] => Array.from({ length: count }, (_, i) => i + 1);
  const onlyOne = [kinds.controllerRevision, kinds.job, kinds.deployment, kinds.pod];
  return [
    ...upTo(writes).flatMap((n): Faults[] => [
      { crash: { n, when: "before", of: "write" } },
      { crash: { n, when: "after", of: "write" } },
    ]),
    ...upTo(writes + reads).map((n): Faults => ({ crash: { n, when: "before", of: "any" } })),
    ...upTo(writes).flatMap((n) =>
      PAUSES.flatMap((forMs): Faults[] => [
        { pause: { n, forMs, after: "continues" } },
        { pause: { n, forMs, after: "ends" } },
      ]),
    ),
    ...LAGS.flatMap((lag): Faults[] => [
      { staleness: { lag } },
      ...onlyOne.map((only): Faults => ({ staleness: { lag, only } })),
    ]),
    ...upTo(MISSES).map((misses): Faults => ({ staleness: { lag: 0, misses } })),
  ];
}

/** What is not as it would have been: nothing, whatever went wrong. */
export function differences(
  expected: readonly Snapshot[],
  actual: readonly Snapshot[],
): readonly string[] {
  return expected.flatMap((snapshot, index) => differencesOf(snapshot, actual[index] ?? {}));
}

function differencesOf(expected: Snapshot, actual: Snapshot): readonly string[] {
  return [...new Set([...Object.keys(expected), ...Object.keys(actual)])].flatMap((name) => {
    const [a = "absent", b = "absent"] = [expected, actual].map((one) => JSON.stringify(one[name]));
    if (a === b) return [];
    const at = [...a].findIndex((character, index) => character !== b[index]);
    const from = Math.max(0, at - 80);
    return [`${name}: …${a.slice(from, at + 120)}… became …${b.slice(from, at + 120)}…`];
  });
}
