import { canonical } from "../canonical.ts";
import type { Step } from "../release/advance.ts";
import type { Choice } from "../release/choose.ts";
import { chainStart } from "../release/gates.ts";
import { requestOf, type Release } from "../release/identity.ts";
import type { JournalEntry } from "../../../crds/journal.ts";
import { enter, nextRevision, phaseOf, withRecord, type Ledger } from "../release/ledger.ts";
import type { ReleaseRecord } from "../release/record.ts";
import { renderTemplate } from "../resources/template.ts";
import { notifyOf, withoutLastNotice } from "./notices.ts";
import { choiceOf, type Situation } from "./situation.ts";

/** What the journal says of a step, and who asked for it. */
export function entryOf(
  { next, why }: Step,
  { candidate, all }: Ledger,
  subject: Release,
  choice: Choice,
  { app, intents, now }: Situation,
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
  // Another attempt at the same phase is no news.
  const isEntered = candidate === undefined || phaseOf(candidate) !== next;
  const settles = next === "Settling" ? { step: chainOf(all, now) } : {};
  return {
    phase: next,
    ...(isEntered && notifyOf(app, next)),
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
export function beginRecord(
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
    ...(before && { inputs: before.inputs, modelBytes: before.modelBytes }),
    template: isSame ? before.template : template,
    revision: nextRevision(ledger),
    journal: before?.journal ?? [],
    // Halves and held releases are not what the spec asks for.
    request: choice.as === "requested" ? requestOf(app.spec) : undefined,
    stored: isSame ? before.stored : undefined,
  };
}

/** The names that the requested release has now, and the request that chose it: neither makes a new release. */
export function withNames(ledger: Ledger, { app, requested }: Situation): Ledger {
  const record = ledger.all.find(({ id }) => id === requested?.id);
  if (record === undefined || requested === undefined) return ledger;
  const request = requestOf(app.spec);
  if (record.image === requested.image && record.request === request) return ledger;
  return withRecord(ledger, { ...record, image: requested.image, request });
}

/** Says in the journal of the failed release what made it fail, once that is known. */
export function withBlame(ledger: Ledger, situation: Situation): Ledger {
  const { blame } = choiceOf(ledger, situation);
  const record = ledger.all.find(({ id }) => id === situation.requested?.id);
  const last = record?.journal.at(-1);
  if (blame === undefined || record === undefined || last?.phase !== "Failed") return ledger;
  if (last.blame !== undefined) return ledger;
  const { at: _, ...entry } = last;
  const blamed = { ...entry, ...notifyOf(situation.app, "Failed"), blame };
  return withRecord(ledger, enter(ledger, withoutLastNotice(record), blamed, situation.now));
}
