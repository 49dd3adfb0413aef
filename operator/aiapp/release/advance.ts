import type { Phase } from "../../../crds/aiapp/status.ts";
import type { Gate, Gates } from "./gates.ts";

/**
 * The state machine of a release: one table, one row a transition, the first row that applies counts. Pure: everything
 * that it rests on is in `Facts`. What the phases mean to the cluster is decided in `steps/target.ts`; here is only when
 * one ends and which one follows.
 */

/** Where a release stands; `None` before it is on its way. */
export type State =
  | { readonly phase: "None" }
  | { readonly phase: Phase; /** Milliseconds. */ readonly since: number };

/** A release found bad, or a fault of what is around it. */
export interface Fault {
  readonly reason: string;
  readonly message: string;
  /** Says nothing about the release: it is tried again. */
  readonly isInfrastructure: boolean;
}

/** What transitions are decided on. Releases are named by id. */
export interface Facts {
  /** The release that the transition is about. */
  readonly subject: string;
  /** The release to be next; undefined while that is not known, or when it is none but the stable one. */
  readonly wanted: string | undefined;
  readonly stable: string | undefined;
  /** The spec asks for another release than when the subject began. */
  readonly isSpecChanged: boolean;
  /** A person holds the wanted release. */
  readonly isHeld: boolean;
  /** The subject is verified only to find out what failed. */
  readonly isProbe: boolean;
  readonly gates: Gates;
  readonly verification:
    | { readonly kind: "running" }
    | { readonly kind: "passed"; readonly message: string }
    | { readonly kind: "failed"; readonly fault: Fault }
    | undefined;
  /** The subject makes no progress now, whatever the cause: something newer need not wait for it. */
  readonly isBlocked: boolean;
  readonly rollout: {
    readonly isComplete: boolean;
    readonly fault: Fault | undefined;
    /** The next step of its strategy is due: what was found of the one before. */
    readonly next: Why | undefined;
  };
  /** spec.suspend: nothing begins, and what has not begun its rollout is given up. */
  readonly isSuspended: boolean;
  /** A user gives the subject up. */
  readonly abort: { readonly by: string; readonly answers: string } | undefined;
  /** When another attempt after an infrastructure fault is due. Milliseconds. */
  readonly retryAt: number;
  readonly now: number;
}

/** What the journal says of a transition. */
export interface Why {
  readonly reason?: string;
  readonly message?: string;
  readonly by?: string;
  readonly answers?: string;
}

export interface Transition {
  readonly name: string;
  readonly from: readonly State["phase"][];
  readonly to: Phase;
  /** Whether it happens now. */
  readonly when: (facts: Facts) => Why | undefined;
}

/** Nothing has been started for these. */
const waiting = ["Settling", "AwaitingApproval", "Scheduled"] as const;
/** Pods of the release are there. */
const active = ["Verifying", "RollingOut"] as const;
const open = [...waiting, ...active] as const;

function isShut(gate: Gate): Why | undefined {
  return gate.isOpen ? undefined : { message: gate.message };
}

/** A phase that begins once the verification has passed says so: it is never done twice. */
function afterVerification({ verification, gates }: Facts): Why | undefined {
  if (gates.verified.isOpen) return {};
  return verification?.kind === "passed"
    ? { reason: "Verified", message: verification.message }
    : undefined;
}

function isDue({ subject, wanted, stable }: Facts): boolean {
  return subject === wanted && subject !== stable;
}

export const transitions: readonly Transition[] = [
  {
    name: "suspend",
    from: [...waiting, "Verifying"],
    to: "Superseded",
    when: ({ isSuspended }) => (isSuspended ? { message: "spec.suspend is true" } : undefined),
  },
  {
    name: "abort",
    from: open,
    to: "Failed",
    when: ({ abort }) =>
      abort && { reason: "Aborted", message: "given up by annotation aiapp.dev/abort", ...abort },
  },
  {
    name: "supersede: the spec asks for another",
    from: open,
    to: "Superseded",
    when: ({ subject, wanted, isSpecChanged, isHeld }) =>
      wanted !== undefined && wanted !== subject && (isSpecChanged || isHeld)
        ? { message: `release ${wanted} is wanted instead` }
        : undefined,
  },
  {
    name: "supersede: polling found another before anything was started",
    from: waiting,
    to: "Superseded",
    when: ({ subject, wanted }) =>
      wanted !== undefined && wanted !== subject
        ? { message: `release ${wanted} is newer` }
        : undefined,
  },
  {
    name: "supersede: it was withdrawn, or does not move while another waits",
    from: active,
    to: "Superseded",
    when: ({ subject, wanted, stable, isBlocked }) =>
      wanted !== undefined &&
      wanted !== subject &&
      (wanted === stable || stable === undefined || isBlocked)
        ? { message: `release ${wanted} is wanted instead` }
        : undefined,
  },
  {
    name: "settle",
    from: ["None"],
    to: "Settling",
    when: (facts) => (isDue(facts) ? isShut(facts.gates.settled) : undefined),
  },
  {
    name: "verify",
    from: ["None", "Settling"],
    to: "Verifying",
    when: (facts) =>
      isDue(facts) && facts.gates.settled.isOpen && !facts.gates.verified.isOpen ? {} : undefined,
  },
  {
    name: "fail: the verification failed",
    from: ["Verifying"],
    to: "Failed",
    when: ({ verification }) =>
      verification?.kind === "failed" && !verification.fault.isInfrastructure
        ? { reason: verification.fault.reason, message: verification.fault.message }
        : undefined,
  },
  {
    name: "verify again: a fault of the infrastructure",
    from: ["Verifying"],
    to: "Verifying",
    when: ({ verification, retryAt, now }) =>
      verification?.kind === "failed" && verification.fault.isInfrastructure && now >= retryAt
        ? { reason: verification.fault.reason, message: verification.fault.message }
        : undefined,
  },
  {
    name: "park: it passed, and waits for what else is verified",
    from: ["Verifying"],
    to: "Superseded",
    when: (facts) => (facts.isProbe ? afterVerification(facts) : undefined),
  },
  {
    name: "ask for approval",
    from: ["None", "Settling", "Verifying"],
    to: "AwaitingApproval",
    when: (facts) =>
      isReady(facts) && !facts.gates.approved.isOpen ? afterVerification(facts) : undefined,
  },
  {
    name: "schedule",
    from: ["None", "Settling", "Verifying", "AwaitingApproval"],
    to: "Scheduled",
    when: (facts) =>
      isReady(facts) && facts.gates.approved.isOpen && !facts.gates.scheduled.isOpen
        ? afterVerification(facts)
        : undefined,
  },
  {
    name: "begin",
    from: ["None", "Settling", "Verifying", "AwaitingApproval", "Scheduled"],
    to: "RollingOut",
    when: (facts) =>
      isReady(facts) && facts.gates.approved.isOpen && facts.gates.scheduled.isOpen
        ? afterVerification(facts)
        : undefined,
  },
  {
    name: "complete",
    from: ["RollingOut"],
    to: "Released",
    when: ({ rollout }) => (rollout.isComplete ? {} : undefined),
  },
  {
    name: "undo",
    from: ["RollingOut"],
    to: "Failed",
    when: ({ rollout: { fault }, stable }) =>
      // With nothing to go back to it goes on: something may still serve.
      fault !== undefined && !fault.isInfrastructure && stable !== undefined
        ? { reason: fault.reason, message: fault.message }
        : undefined,
  },
  {
    name: "next step",
    from: ["RollingOut"],
    to: "RollingOut",
    when: ({ rollout: { next, fault } }) => (fault === undefined ? next : undefined),
  },
];

/**
 * It has settled, and is still what is wanted; a candidate that is verified goes on though something newer waits. One that
 * the spec does not ask for (a half) waits until it is known what is wanted: after a restart it is not.
 */
function isReady(facts: Facts): boolean {
  return (
    facts.gates.settled.isOpen &&
    !facts.isProbe &&
    (isDue(facts) || (facts.verification?.kind === "passed" && !facts.isSpecChanged))
  );
}

export interface Step {
  readonly name: string;
  readonly next: Phase;
  readonly why: Why;
}

/** The transition that is due, if any. */
export function advance(state: State, facts: Facts): Step | undefined {
  for (const { name, from, to, when } of transitions) {
    if (!from.includes(state.phase) || (facts.isSuspended && name !== "suspend")) continue;
    const why = when(facts);
    if (why !== undefined) return { name, next: to, why };
  }
  return undefined;
}
