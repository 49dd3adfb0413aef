import type { AIApp, Phase } from "../../../crds/aiapp.ts";
import type { Action } from "../action.ts";
import { canonical } from "../canonical.ts";
import { advance, type State, type Step } from "../release/advance.ts";
import { requestOf, type Release } from "../release/identity.ts";
import {
  enter,
  nextRevision,
  phaseOf,
  phaseSince,
  withRecord,
  type Ledger,
} from "../release/ledger.ts";
import { forgetRecord, keepRecord, type ReleaseRecord } from "../release/record.ts";
import { renderTemplate, type PullerSettings } from "../resources/template.ts";
import { isComplete, type Rollout } from "./rollout.ts";

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
  readonly changes: readonly PhaseChange[];
  /** A record is written before anything that rests on it. */
  readonly actions: readonly Action[];
  /** Done last: a record is deleted only once nothing rests on it. */
  readonly prune: readonly Action[];
}

export interface Situation {
  readonly app: AIApp;
  readonly wanted: Release | undefined;
  readonly rollout: Rollout;
  readonly puller: PullerSettings;
  readonly now: number;
}

/** More transitions than one reconcile can have: a candidate ends, and the next one begins. */
const MAX_STEPS = 8;

/** Takes every transition that is due, and says which records to write for it. */
export function advanceReleases(before: Ledger, situation: Situation): Releases {
  let ledger = before;
  const changes: PhaseChange[] = [];
  for (let steps = 0; steps < MAX_STEPS; steps += 1) {
    const taken = takeStep(ledger, situation);
    if (taken === undefined) break;
    ledger = withRecord(ledger, taken.record);
    changes.push(taken);
  }
  ledger = withNames(ledger, situation);
  const surplus = surplusOf(ledger, situation);
  const kept = makeKept(ledger, surplus);
  return {
    ledger: kept,
    changes,
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

function takeStep(ledger: Ledger, situation: Situation): PhaseChange | undefined {
  const { wanted, rollout, now } = situation;
  const subject = ledger.candidate ?? wanted;
  if (subject === undefined) return undefined;
  const step = advance(stateOf(ledger.candidate), {
    wanted: wanted?.id,
    stable: ledger.stable?.id,
    subject: subject.id,
    isComplete: isComplete(rollout, subject.id),
  });
  if (step === undefined) return undefined;
  const record = ledger.candidate ?? beginRecord(ledger, subject, situation);
  return {
    record: enter(ledger, record, entryOf(step), now),
    phase: step.next,
    before: ledger.candidate && {
      phase: phaseOf(ledger.candidate),
      ms: Math.max(0, now - Date.parse(phaseSince(ledger.candidate))),
    },
  };
}

function stateOf(candidate: ReleaseRecord | undefined): State {
  if (candidate === undefined) return { phase: "None" };
  return { phase: phaseOf(candidate), since: Date.parse(phaseSince(candidate)) };
}

function entryOf({ next, why }: Step): Parameters<typeof enter>[2] {
  return { phase: next, ...why };
}

/** The record of a release that begins, perhaps not for the first time. It is rendered with the operator's parts of today. */
function beginRecord(ledger: Ledger, release: Release, { app, puller }: Situation): ReleaseRecord {
  const before = ledger.all.find(({ id }) => id === release.id);
  const template = renderTemplate(app, before ?? release, puller);
  const isSame = before !== undefined && canonical(before.template) === canonical(template);
  return {
    ...release,
    ...(before && { inputs: before.inputs }),
    template: isSame ? before.template : template,
    revision: nextRevision(ledger),
    journal: before?.journal ?? [],
    request: requestOf(app.spec),
    stored: isSame ? before.stored : undefined,
  };
}

/** The names that the wanted release has now, and the request that chose it: neither makes a new release. */
function withNames(ledger: Ledger, { app, wanted }: Situation): Ledger {
  const record = ledger.all.find(({ id }) => id === wanted?.id);
  if (record === undefined || wanted === undefined) return ledger;
  const request = requestOf(app.spec);
  if (record.image === wanted.image && record.request === request) return ledger;
  return withRecord(ledger, { ...record, image: wanted.image, request });
}

/** Records beyond the limit that nothing needs. */
function surplusOf(
  { all, stable, previous, candidate }: Ledger,
  { app, wanted }: Situation,
): readonly ReleaseRecord[] {
  const limit = app.spec.release?.historyLimit ?? 10;
  const needed = new Set([wanted?.id, stable?.id, previous?.id, candidate?.id]);
  return all.filter(({ id }, index) => index >= limit && !needed.has(id));
}

function makeKept(ledger: Ledger, surplus: readonly ReleaseRecord[]): Ledger {
  return surplus.length === 0
    ? ledger
    : { ...ledger, all: ledger.all.filter((record) => !surplus.includes(record)) };
}

/** While the operator may not act, no release begins or ends. */
export function unchanged(ledger: Ledger): Releases {
  return { ledger, changes: [], actions: [], prune: [] };
}
