import type { Phase } from "../../../crds/aiapp/status.ts";
import type { Action } from "../action.ts";
import { advance } from "../release/advance.ts";
import type { Choice } from "../release/choose.ts";
import type { Gates } from "../release/gates.ts";
import { enter, phaseOf, phaseSince, withRecord, type Ledger } from "../release/ledger.ts";
import { forgetRecord, keepRecord, type ReleaseRecord } from "../release/record.ts";
import { settleNotices, type DroppedNotice } from "./notices.ts";
import { beginRecord, entryOf, withBlame, withNames } from "./records.ts";
import { choiceOf, factsOf, gatesFor, retryAt, stateOf, type Situation } from "./situation.ts";

/** A phase that a release enters now. */
export interface PhaseChange {
  readonly record: ReleaseRecord;
  readonly phase: Phase;
  /** The phase before, and how long it took; undefined for the first one. */
  readonly before: { readonly phase: Phase; readonly ms: number } | undefined;
}

export interface Releases {
  /** As it will be once `actions` are done. */
  readonly ledger: Ledger;
  readonly choice: Choice;
  /** What the candidate waits for; undefined without one. */
  readonly gates: Gates | undefined;
  readonly changes: readonly PhaseChange[];
  /** Notifications that are given up. */
  readonly dropped: readonly DroppedNotice[];
  /** A record is written before anything that rests on it. */
  readonly actions: readonly Action[];
  /** Done last: a record is deleted only once nothing rests on it. */
  readonly prune: readonly Action[];
  /** Milliseconds: when something may be due though nothing happens. */
  readonly wakeAt: number | undefined;
}

/** More transitions than one reconcile can have: a candidate ends, and the next one begins. */
const MAX_STEPS = 8;

/** Takes every transition that is due, and says which records to write for it. */
export function advanceReleases(before: Ledger, situation: Situation): Releases {
  let ledger = before;
  const changes: PhaseChange[] = [];
  for (let steps = 0; steps < MAX_STEPS; steps += 1) {
    const taken = takeStep(ledger, situation, before);
    if (taken === undefined) break;
    ledger = withRecord(ledger, taken.record);
    changes.push(taken);
  }
  ledger = withBlame(withNames(ledger, situation), situation);
  const { app, deliveries, now } = situation;
  const notices = settleNotices(ledger, app, deliveries, now);
  ledger = notices.ledger;
  const surplus = surplusOf(ledger, situation);
  const kept = without(ledger, surplus);
  return {
    ...outlook(kept, situation),
    ledger: kept,
    changes,
    dropped: notices.dropped,
    actions: kept.all
      .filter((record) => !before.all.includes(record))
      // What ends is written before what begins.
      .toSorted((a, b) => a.revision - b.revision)
      .map((record) => keepRecord(situation.app, record)),
    prune: [...surplus, ...ledger.replaced].flatMap(({ stored }) =>
      stored === undefined ? [] : [forgetRecord(situation.app, stored)],
    ),
  };
}

/** While the operator may not act, no release begins or ends. */
export function unchanged(ledger: Ledger, situation: Situation): Releases {
  return {
    ...outlook(ledger, situation),
    ledger,
    changes: [],
    dropped: [],
    actions: [],
    prune: [],
    wakeAt: undefined,
  };
}

/** What is next, and what it waits for. */
function outlook(
  ledger: Ledger,
  situation: Situation,
): Pick<Releases, "choice" | "gates" | "wakeAt"> {
  const choice = choiceOf(ledger, situation);
  const subject = ledger.candidate ?? choice.release;
  const isAtRest = subject === undefined || subject.id === ledger.stable?.id;
  const gates = isAtRest ? undefined : gatesFor(ledger, subject, choice, situation);
  return { choice, gates, wakeAt: wakeAt(ledger, gates, situation) };
}

function takeStep(ledger: Ledger, situation: Situation, before: Ledger): PhaseChange | undefined {
  const choice = choiceOf(ledger, situation);
  const { candidate } = ledger;
  const subject = candidate ?? choice.release;
  if (subject === undefined || subject.id === ledger.stable?.id) return undefined;
  const facts = factsOf(ledger, subject, choice, situation, before);
  const step = advance(stateOf(candidate), facts);
  if (step === undefined) return undefined;
  const record = candidate ?? beginRecord(ledger, subject, choice, situation);
  return {
    record: enter(ledger, record, entryOf(step, ledger, subject, choice, situation), situation.now),
    phase: step.next,
    before: candidate && {
      phase: phaseOf(candidate),
      ms: Math.max(0, situation.now - Date.parse(phaseSince(candidate))),
    },
  };
}

/** Records beyond the limit that nothing needs. */
function surplusOf(ledger: Ledger, situation: Situation): readonly ReleaseRecord[] {
  const { all, stable, previous, candidate } = ledger;
  const { app, requested, intents } = situation;
  const limit = app.spec.release?.historyLimit ?? 10;
  const needed = new Set([
    requested?.id,
    choiceOf(ledger, situation).release?.id,
    stable?.id,
    previous?.id,
    candidate?.id,
    intents.hold?.id,
  ]);
  return all.filter(({ id }, index) => index >= limit && !needed.has(id));
}

function without(ledger: Ledger, surplus: readonly ReleaseRecord[]): Ledger {
  return surplus.length === 0
    ? ledger
    : { ...ledger, all: ledger.all.filter((record) => !surplus.includes(record)) };
}

/** The earliest time at which a gate may open, or another attempt is due. */
function wakeAt(
  { candidate }: Ledger,
  gates: Gates | undefined,
  { verification, now }: Situation,
): number | undefined {
  if (candidate === undefined || gates === undefined) return undefined;
  const times = Object.values(gates).map((gate) => (gate.isOpen ? undefined : gate.until));
  if (verification?.kind === "failed") times.push(retryAt(candidate));
  const future = times.filter((time) => time !== undefined && time > now);
  return future.length === 0 ? undefined : Math.min(...future.filter((time) => time !== undefined));
}
