import type { AIAppSpec } from "../../../crds/aiapp.ts";
import { milliseconds } from "../duration.ts";
import type { Intents } from "../intents.ts";
import { lastOf, type JournalEntry } from "./journal.ts";
import { isVerified, type Ledger } from "./ledger.ts";
import type { ReleaseRecord } from "./record.ts";

/** What a release waits for before its rollout begins, in this order. */
export type Gate =
  | { readonly isOpen: true }
  | {
      readonly isOpen: false;
      readonly message: string;
      /** Milliseconds: when it may open by itself. */
      readonly until?: number;
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

export interface WindowState {
  readonly isOpen: boolean;
  readonly opensAt: number | undefined;
}

export function gatesOf(
  spec: AIAppSpec,
  subject: Subject,
  ledger: Ledger,
  intents: Pick<Intents, "approve" | "releaseNow">,
  window: WindowState | undefined,
  now: number,
): Gates {
  const { id, record, as } = subject;
  const isUrgent = as === "held" || intents.releaseNow?.id === id;
  const wasReleased = record !== undefined && lastOf(record.journal, "Released") !== undefined;
  return {
    settled: isUrgent || wasReleased || as === "half" ? OPEN : settled(spec, record, now),
    verified:
      spec.verify?.enabled === false || (record !== undefined && isVerified(record))
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
    scheduled:
      // The first release does not wait: nothing serves before it.
      isUrgent || ledger.stable === undefined || window === undefined || window.isOpen
        ? OPEN
        : closed(id, window),
  };
}

function closed(id: string, { opensAt }: WindowState): Gate {
  if (opensAt === undefined)
    return { isOpen: false, message: `release ${id} waits for spec.release.schedule` };
  const time = new Date(opensAt).toISOString();
  return {
    isOpen: false,
    message: `release ${id} is rolled out from ${time} on (spec.release.schedule)`,
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
  const at = Date.parse(first?.step ?? "");
  return Number.isNaN(at) ? found : at;
}
