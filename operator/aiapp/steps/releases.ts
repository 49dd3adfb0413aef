import type { AIApp, Phase } from "../../../crds/aiapp.ts";
import type { Action } from "../action.ts";
import { backoffMs } from "../backoff.ts";
import { canonical } from "../canonical.ts";
import type { Intents } from "../intents.ts";
import { advance, type Facts, type State, type Step } from "../release/advance.ts";
import { choose, type Choice } from "../release/choose.ts";
import { chainStart, gatesOf, type Gates } from "../release/gates.ts";
import { requestOf, type Release } from "../release/identity.ts";
import type { JournalEntry } from "../release/journal.ts";
import {
  enter,
  isAnswered,
  nextRevision,
  phaseOf,
  phaseSince,
  withRecord,
  type Ledger,
} from "../release/ledger.ts";
import { forgetRecord, keepRecord, type ReleaseRecord } from "../release/record.ts";
import type { Timing } from "../release/timing.ts";
import { renderTemplate, type PullerSettings } from "../resources/template.ts";
import type { Trouble } from "./diagnose.ts";
import { isComplete, type Rollout } from "./rollout.ts";
import { attemptOf, type VerificationState } from "./verification.ts";

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
  /** A record is written before anything that rests on it. */
  readonly actions: readonly Action[];
  /** Done last: a record is deleted only once nothing rests on it. */
  readonly prune: readonly Action[];
  /** Milliseconds: when something may be due though nothing happens. */
  readonly wakeAt: number | undefined;
}

export interface Situation {
  readonly app: AIApp;
  /** What the spec and the sources ask for. */
  readonly requested: Release | undefined;
  readonly intents: Intents;
  readonly rollout: Rollout;
  readonly trouble: Trouble | undefined;
  readonly verification: VerificationState | undefined;
  /** Computed when a release is about to begin: at rest it is not needed. */
  readonly timing: () => Timing;
  readonly puller: PullerSettings;
  readonly now: number;
}

/** More transitions than one reconcile can have: a candidate ends, and the next one begins. */
const MAX_STEPS = 8;
/** Between attempts to verify after a fault of the infrastructure. */
const RETRY = { baseMs: 10_000, maxMs: 5 * 60_000 } as const;

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
  const surplus = surplusOf(ledger, situation);
  const kept = without(ledger, surplus);
  return {
    ...outlook(kept, situation),
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

/** While the operator may not act, no release begins or ends. */
export function unchanged(ledger: Ledger, situation: Situation): Releases {
  return {
    ...outlook(ledger, situation),
    ledger,
    changes: [],
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

function choiceOf(ledger: Ledger, { app, requested, intents }: Situation): Choice {
  return choose(app.spec, requested, ledger, intents);
}

function gatesFor(
  ledger: Ledger,
  subject: Release,
  choice: Choice,
  { app, intents, timing, now }: Situation,
): Gates {
  const record = ledger.all.find(({ id }) => id === subject.id);
  const as = subject.id === choice.release?.id ? choice.as : "requested";
  return gatesOf(app.spec, { id: subject.id, record, as }, ledger, intents, timing(), now);
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

function factsOf(
  ledger: Ledger,
  subject: Release,
  choice: Choice,
  situation: Situation,
  before: Ledger,
): Facts {
  const { app, requested, intents, rollout, trouble, verification, now } = situation;
  const { candidate, stable } = ledger;
  // What was observed is of the candidate that was there when it was observed.
  const isObserved = candidate !== undefined && candidate === before.candidate;
  const observed = isObserved ? verification : undefined;
  const { abort } = intents;
  return {
    subject: subject.id,
    wanted: choice.release?.id,
    stable: stable?.id,
    isSpecChanged: candidate !== undefined && candidate.request !== requestOf(app.spec),
    isHeld: choice.as === "held",
    isProbe:
      choice.release?.id === subject.id
        ? choice.isProbe
        : candidate !== undefined && candidate.request === undefined && requested !== undefined,
    gates: gatesFor(ledger, subject, choice, situation),
    verification:
      observed?.kind === "failed" ? { kind: "failed", fault: observed.trouble } : observed,
    isBlocked: trouble !== undefined || (observed !== undefined && isBlocked(observed)),
    rollout: {
      isComplete: isComplete(rollout, subject.id),
      fault: isObserved ? rolloutFault(rollout, trouble, subject.id) : undefined,
    },
    isSuspended: app.spec.suspend,
    abort:
      candidate !== undefined && abort?.id === subject.id && !isAnswered(candidate, abort)
        ? { by: abort.by, answers: abort.token }
        : undefined,
    retryAt: candidate === undefined ? now : retryAt(candidate),
    now,
  };
}

function isBlocked(state: VerificationState): boolean {
  return state.kind === "failed" || (state.kind === "running" && state.trouble !== undefined);
}

/** What ends a rollout: pods that fail for good, or no progress for too long. */
function rolloutFault(
  { deployedReleaseId, exceededDeadline }: Rollout,
  trouble: Trouble | undefined,
  id: string,
): Facts["rollout"]["fault"] {
  if (deployedReleaseId !== id) return undefined;
  if (trouble !== undefined && (!trouble.isPassing || trouble.isInfrastructure)) return trouble;
  if (exceededDeadline === undefined) return undefined;
  return {
    reason: "ProgressDeadlineExceeded",
    message: `${exceededDeadline}; see why the pods of the release are not ready, or raise spec.rollout.progressDeadline`,
    isInfrastructure: false,
  };
}

function retryAt(candidate: ReleaseRecord): number {
  return (
    Date.parse(phaseSince(candidate)) +
    backoffMs(attemptOf(candidate) - 1, RETRY.baseMs, RETRY.maxMs)
  );
}

function stateOf(candidate: ReleaseRecord | undefined): State {
  if (candidate === undefined) return { phase: "None" };
  return { phase: phaseOf(candidate), since: Date.parse(phaseSince(candidate)) };
}

/** What the journal says of a step, and who asked for it. */
function entryOf(
  { next, why }: Step,
  { candidate, all }: Ledger,
  subject: Release,
  choice: Choice,
  { intents, now }: Situation,
): Omit<JournalEntry, "at"> {
  const { hold, approve, releaseNow, retry } = intents;
  const isBegun = candidate !== undefined;
  const wasWaiting = isBegun && phaseOf(candidate) === "AwaitingApproval";
  const asker =
    choice.as === "held" && !isBegun
      ? hold
      : releaseNow?.id === subject.id && next === "RollingOut"
        ? releaseNow
        : wasWaiting && approve?.id === subject.id
          ? approve
          : undefined;
  const isRetry =
    !isBegun &&
    retry?.id === subject.id &&
    all.some((record) => record.id === subject.id && phaseOf(record) === "Failed");
  const settles = next === "Settling" ? { step: chainOf(all, now) } : {};
  return {
    phase: next,
    ...settles,
    ...(asker !== undefined && { by: asker.by }),
    ...(isRetry && { by: retry.by, answers: retry.token }),
    ...why,
  };
}

/** When the changes in a row began that this one belongs to: those that were superseded while they settled. */
function chainOf([newest]: readonly ReleaseRecord[], now: number): string {
  const [before, last] = newest?.journal.slice(-2) ?? [];
  const isChained = before?.phase === "Settling" && last?.phase === "Superseded";
  const start = isChained ? chainStart(before, Date.parse(before.at)) : now;
  return new Date(start).toISOString();
}

/** The record of a release that begins, perhaps not for the first time. It is rendered with the operator's parts of today. */
function beginRecord(
  ledger: Ledger,
  release: Release,
  choice: Choice,
  { app, puller }: Situation,
): ReleaseRecord {
  const before = ledger.all.find(({ id }) => id === release.id);
  const template = renderTemplate(app, before ?? release, puller);
  const isSame = before !== undefined && canonical(before.template) === canonical(template);
  return {
    ...release,
    ...(before && { inputs: before.inputs }),
    template: isSame ? before.template : template,
    revision: nextRevision(ledger),
    journal: before?.journal ?? [],
    // Halves and held releases are not what the spec asks for.
    request: choice.as === "requested" ? requestOf(app.spec) : undefined,
    stored: isSame ? before.stored : undefined,
  };
}

/** The names that the requested release has now, and the request that chose it: neither makes a new release. */
function withNames(ledger: Ledger, { app, requested }: Situation): Ledger {
  const record = ledger.all.find(({ id }) => id === requested?.id);
  if (record === undefined || requested === undefined) return ledger;
  const request = requestOf(app.spec);
  if (record.image === requested.image && record.request === request) return ledger;
  return withRecord(ledger, { ...record, image: requested.image, request });
}

/** Says in the journal of the failed release what made it fail, once that is known. */
function withBlame(ledger: Ledger, situation: Situation): Ledger {
  const { blame } = choiceOf(ledger, situation);
  const record = ledger.all.find(({ id }) => id === situation.requested?.id);
  const last = record?.journal.at(-1);
  if (blame === undefined || record === undefined || last?.phase !== "Failed") return ledger;
  if (last.blame !== undefined) return ledger;
  const { at: _, ...entry } = last;
  return withRecord(ledger, enter(ledger, record, { ...entry, blame }, situation.now));
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
