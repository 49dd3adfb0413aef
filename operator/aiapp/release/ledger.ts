import type { Phase } from "../../../crds/aiapp/status.ts";
import type { JournalEntry } from "../../../crds/journal.ts";
import { append, lastOf } from "./journal.ts";
import type { ReleaseRecord } from "./record.ts";

/** All releases of one AIApp, and what they are to each other. */
export interface Ledger {
  /** Newest first, one a release. */
  readonly all: readonly ReleaseRecord[];
  /** The last release that was fully rolled out. It serves until another one is. */
  readonly stable: ReleaseRecord | undefined;
  /** The one that was stable before. */
  readonly previous: ReleaseRecord | undefined;
  /** The release that is on its way. */
  readonly candidate: ReleaseRecord | undefined;
  /** Records that a newer record of the same release has replaced. */
  readonly replaced: readonly ReleaseRecord[];
}

/** The phases of a release that is on its way. */
export const openPhases: ReadonlySet<Phase> = new Set<Phase>([
  "Settling",
  "Composing",
  "Verifying",
  "AwaitingApproval",
  "Scheduled",
  "RollingOut",
]);

export function makeLedger(records: readonly ReleaseRecord[]): Ledger {
  const sorted = records.toSorted((a, b) => b.revision - a.revision);
  const byId = new Map<string, ReleaseRecord>();
  const replaced: ReleaseRecord[] = [];
  for (const record of sorted) {
    if (byId.has(record.id)) replaced.push(record);
    else byId.set(record.id, record);
  }
  const all = [...byId.values()];
  const candidate = all.find((record) => openPhases.has(phaseOf(record)));
  const released = all
    .flatMap((record) => {
      const at = releasedAt(record);
      return at === undefined ? [] : [{ record, at }];
    })
    .toSorted((a, b) =>
      a.at < b.at ? 1 : a.at > b.at ? -1 : b.record.revision - a.record.revision,
    );
  return {
    all,
    stable: released[0]?.record,
    previous: released[1]?.record,
    candidate,
    replaced,
  };
}

/** A record without a journal was left by a process that ended: as good as superseded. */
export function phaseOf({ journal }: ReleaseRecord): Phase {
  return journal.at(-1)?.phase ?? "Superseded";
}

export function isVerifying({ candidate }: Ledger): boolean {
  return candidate !== undefined && phaseOf(candidate) === "Verifying";
}

/** Whether a request of a user has been answered: the annotation may stay. */
export function isAnswered(
  { journal }: ReleaseRecord,
  { token }: { readonly token: string },
): boolean {
  return journal.some(({ answers }) => answers === token);
}

/** Whether it was verified once: then it is not verified again, unless a user asks. */
export function isVerified({ journal }: ReleaseRecord): boolean {
  const retried = journal.findLastIndex(
    ({ phase, answers }) => phase !== "Failed" && answers !== undefined,
  );
  return journal
    .slice(Math.max(0, retried))
    .some(({ phase, reason }) => phase === "Released" || reason === "Verified");
}

/** RFC 3339: when the phase that it is in began. */
export function phaseSince({ journal }: ReleaseRecord): string {
  return journal.at(-1)?.at ?? "";
}

/** RFC 3339: when it was fully rolled out last. */
export function releasedAt({ journal }: ReleaseRecord): string | undefined {
  return lastOf(journal, "Released")?.at;
}

/** The ledger with one record changed or added. */
export function withRecord({ all, replaced }: Ledger, record: ReleaseRecord): Ledger {
  // What it was stays among the replaced when it was stored as another object.
  const before = all.find(({ id }) => id === record.id);
  const outdated =
    before?.stored !== undefined && before.stored.name !== record.stored?.name ? [before] : [];
  return makeLedger([
    ...all.filter(({ id }) => id !== record.id),
    record,
    ...replaced,
    ...outdated,
  ]);
}

/** Enters a phase. Times only grow, whatever the clock says: the order of releases rests on them. */
export function enter(
  ledger: Ledger,
  record: ReleaseRecord,
  entry: Omit<JournalEntry, "at">,
  now: number,
): ReleaseRecord {
  const newest = Math.max(
    0,
    ...[...ledger.all, record].map(({ journal }) => Date.parse(journal.at(-1)?.at ?? "") || 0),
  );
  const at = new Date(Math.max(now, newest + 1)).toISOString();
  return { ...record, journal: append(record.journal, { ...entry, at }) };
}

export function nextRevision({ all }: Ledger): number {
  return 1 + Math.max(0, ...all.map(({ revision }) => revision));
}
