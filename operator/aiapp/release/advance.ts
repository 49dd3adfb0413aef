import type { Phase } from "../../../crds/aiapp.ts";

/**
 * The state machine of a release: one table, one row a transition, the first row that applies counts. Pure: everything
 * that it rests on is in `Facts` and the time. What the phases mean to the cluster is decided elsewhere
 * (`steps/target.ts`); here is only when one ends and which one follows.
 */

/** Where a release stands; `None` before anything of it is recorded. */
export type State =
  | { readonly phase: "None" }
  | { readonly phase: Phase; /** Milliseconds. */ readonly since: number };

/** What transitions are decided on. Releases are named by id. */
export interface Facts {
  /** What the spec and the sources ask for now; undefined while that is not known. */
  readonly wanted: string | undefined;
  readonly stable: string | undefined;
  /** The release that the transition is about. */
  readonly subject: string;
  /** Every pod of the Deployment is of the subject, and serves. */
  readonly isComplete: boolean;
}

export interface Why {
  readonly reason?: string;
  readonly message?: string;
}

export interface Transition {
  readonly name: string;
  readonly from: readonly State["phase"][];
  readonly to: Phase;
  /** Whether it happens now, and what the journal says of it. */
  readonly when: (facts: Facts) => Why | undefined;
}

export const transitions = [
  {
    name: "begin",
    from: ["None"],
    to: "RollingOut",
    when: ({ wanted, stable, subject }) =>
      subject === wanted && subject !== stable ? {} : undefined,
  },
  {
    name: "supersede",
    from: ["RollingOut"],
    to: "Superseded",
    when: ({ wanted, subject }) =>
      wanted !== undefined && wanted !== subject
        ? { message: `release ${wanted} is wanted instead` }
        : undefined,
  },
  {
    name: "complete",
    from: ["RollingOut"],
    to: "Released",
    when: ({ isComplete }) => (isComplete ? {} : undefined),
  },
] as const satisfies readonly Transition[];

export interface Step {
  readonly name: string;
  readonly next: Phase;
  readonly why: Why;
}

/** The transition that is due, if any. */
export function advance(state: State, facts: Facts): Step | undefined {
  for (const { name, from, to, when } of transitions as readonly Transition[]) {
    if (!from.includes(state.phase)) continue;
    const why = when(facts);
    if (why !== undefined) return { name, next: to, why };
  }
  return undefined;
}
