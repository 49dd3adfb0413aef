import type { AIAppSpec } from "../../../crds/aiapp/spec.ts";
import type { Reason } from "../../../crds/conditions.ts";
import { annotations } from "../../../crds/names.ts";
import { milliseconds } from "../../../crds/grammar/duration.ts";
import type { Intents } from "../intents.ts";
import type { JournalEntry } from "../../../crds/journal.ts";
import { parseTime } from "../../../crds/grammar/rfc3339.ts";
import { lastOf } from "./journal.ts";
import { isVerified, phaseOf, type Ledger } from "./ledger.ts";
import type { Timing } from "./timing.ts";
import type { ReleaseRecord } from "./record.ts";

/** What a release waits for before its rollout begins, in this order. */
export type Gate =
  | { readonly isOpen: true }
  | {
      readonly isOpen: false;
      readonly message: string;
      /** What keeps it shut when it is not the app's own window: a freeze, or a policy. */
      readonly reason?: Extract<Reason, "Frozen" | "NotAllowedByPolicy">;
      /** Milliseconds: when it may open by itself. */
      readonly until?: number | undefined;
    };

export interface Gates {
  readonly settled: Gate;
  readonly verified: Gate;
  readonly approved: Gate;
  readonly scheduled: Gate;
}

const OPEN: Gate = { isOpen: true };

/** The release that gates are about. */
export interface Subject {
  readonly id: string;
  readonly record: ReleaseRecord | undefined;
  readonly as: "requested" | "half" | "held" | "none";
}

export function gatesOf(
  spec: AIAppSpec,
  subject: Subject,
  ledger: Ledger,
  intents: Pick<Intents, "approve" | "releaseNow">,
  timing: Timing,
  now: number,
): Gates {
  const { id, record, as } = subject;
  const isUrgent = as === "held" || intents.releaseNow?.id === id;
  const wasReleased = record !== undefined && lastOf(record.journal, "Released") !== undefined;
  return {
    settled: isUrgent || wasReleased || as === "half" ? OPEN : settled(spec, record, now),
    verified:
      spec.verify?.enabled === false || (record !== undefined && isPassed(record))
        ? OPEN
        : { isOpen: false, message: `release ${id} is not verified yet` },
    approved:
      spec.release?.approval !== "Manual" ||
      as === "held" ||
      intents.approve?.id === id ||
      intents.releaseNow?.id === id
        ? OPEN
        : {
            isOpen: false,
            message: `release ${id} waits for approval: set the annotation aiapp.dev/approve to ${id}`,
          },
    scheduled: scheduled(id, timing, {
      // A hold goes back to what ran before: freezes and policies are about what is new.
      isHeld: as === "held",
      // The first release does not wait: nothing serves before it.
      ignoresWindow: isUrgent || ledger.stable === undefined,
    }),
  };
}

/** A retry of a release that failed after its verification verifies it again. */
function isPassed(record: ReleaseRecord): boolean {
  return phaseOf(record) !== "Failed" && isVerified(record);
}

function scheduled(
  id: string,
  { refusal, freeze, freezeChangesAt, window }: Timing,
  { isHeld, ignoresWindow }: { readonly isHeld: boolean; readonly ignoresWindow: boolean },
): Gate {
  if (refusal !== undefined && !isHeld)
    return {
      isOpen: false,
      reason: "NotAllowedByPolicy",
      message: `release ${id} waits: ${refusal}`,
    };
  if (freeze !== undefined && !isHeld) {
    const { name, reason, until, error } = freeze;
    const end =
      until === undefined ? "until it is deleted" : `until ${new Date(until).toISOString()}`;
    const fault = error === undefined ? "" : ` (its time cannot be read: ${error})`;
    return {
      isOpen: false,
      reason: "Frozen",
      message: `release ${id} waits: AIAppReleaseFreeze ${name} holds ${end}: ${reason}${fault}; an urgent release needs the annotation ${annotations.overrideFreeze}=${name}`,
      until: freezeChangesAt,
    };
  }
  if (ignoresWindow || window === undefined || window.isOpen) return OPEN;
  const { opensAt } = window;
  if (opensAt === undefined)
    return { isOpen: false, message: `release ${id} waits for spec.release.schedule` };
  return {
    isOpen: false,
    message: `release ${id} is rolled out from ${new Date(opensAt).toISOString()} on (spec.release.schedule)`,
    until: opensAt,
  };
}

/** Changes in a row are waited for at most this many times the settling time. */
const MAX_SETTLES = 4;

function settled(spec: AIAppSpec, record: ReleaseRecord | undefined, now: number): Gate {
  const settleMs = milliseconds(spec.release?.settle ?? "0s");
  const minAgeMs = milliseconds(spec.release?.minAge ?? "0s");
  if (settleMs === 0 && minAgeMs === 0) return OPEN;
  const [first] = record?.journal ?? [];
  const found = first === undefined ? now : Date.parse(first.at);
  const settles = Math.min(found + settleMs, chainStart(first, found) + MAX_SETTLES * settleMs);
  const until = Math.max(settles, found + minAgeMs);
  if (now >= until) return OPEN;
  const time = new Date(until).toISOString();
  return {
    isOpen: false,
    message: `waiting until ${time} for further changes (spec.release.settle, spec.release.minAge)`,
    until,
  };
}

/** When the first of several changes in a row was found: the journal's first entry carries it on. */
export function chainStart(first: JournalEntry | undefined, found: number): number {
  return parseTime(first?.step ?? "") ?? found;
}
