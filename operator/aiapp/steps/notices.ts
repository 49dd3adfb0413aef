import type { AIApp } from "../../../crds/aiapp/aiapp.ts";
import { NotifiedPhase, type NotificationTarget } from "../../../crds/aiapp/notifications.ts";
import type { Phase } from "../../../crds/aiapp/status.ts";
import type { JournalEntry } from "../../../crds/journal.ts";
import { annotations, API_VERSION, PLURAL } from "../../../crds/names.ts";
import {
  EVENT_TYPE,
  type NotifiedRelease,
  type ReleaseEvent,
  type ReleaseNotice,
} from "../../../crds/notification.ts";
import type { Delivery, DeliveryView } from "../../notify/delivery.ts";
import { canonical } from "../canonical.ts";
import { withRecord, type Ledger } from "../release/ledger.ts";
import type { ReleaseRecord } from "../release/record.ts";

/**
 * Notifications, as an outbox in the journals: the write that enters a phase also names whom to notify of it, and a write
 * after the delivery removes the name. So nothing is lost or forgotten by a restart, and at rest nothing is written.
 */

/** An event that its webhook has not taken for so long is given up. Milliseconds. */
const MAX_AGE_MS = 24 * 3_600_000;

/** Whom an entry of this phase is for: a part of the entry. */
export function notifyOf({ spec }: AIApp, phase: Phase): Pick<JournalEntry, "notify"> {
  const names = (spec.notifications ?? [])
    .filter(({ phases }) => phases.some((one) => one === phase))
    .map(({ name }) => name);
  return names.length === 0 ? {} : { notify: names };
}

/** A record whose newest entry is sent no more, because another one of the same phase follows. */
export function withoutLastNotice(record: ReleaseRecord): ReleaseRecord {
  const last = record.journal.at(-1);
  if (last?.notify === undefined) return record;
  return { ...record, journal: [...record.journal.slice(0, -1), withNames(last, [])] };
}

function withNames(entry: JournalEntry, names: readonly string[]): JournalEntry {
  // JSON has no member that is undefined.
  return { ...entry, notify: names.length === 0 ? undefined : names };
}

interface Undelivered {
  readonly record: ReleaseRecord;
  readonly phase: NotifiedPhase;
  readonly entry: JournalEntry;
  readonly name: string;
}

/** What has still to be sent, oldest first. */
function undelivered({ all }: Ledger): readonly Undelivered[] {
  return all
    .flatMap((record) =>
      record.journal.flatMap((entry) => {
        if (entry.notify === undefined) return [];
        const phase = NotifiedPhase.options.find((one) => one === entry.phase);
        if (phase === undefined) return [];
        return entry.notify.map((name) => ({ record, phase, entry, name }));
      }),
    )
    .toSorted((a, b) => (a.entry.at < b.entry.at ? -1 : 1));
}

/** A notification that is given up. */
export interface DroppedNotice {
  readonly type: NotificationTarget["type"];
  readonly message: string;
}

export interface SettledNotices {
  readonly ledger: Ledger;
  readonly dropped: readonly DroppedNotice[];
}

/** Removes from the journals what was delivered, what is too old, and what the spec no longer asks for. */
export function settleNotices(
  before: Ledger,
  { spec }: AIApp,
  { isDelivered }: DeliveryView,
  now: number,
): SettledNotices {
  const types = new Map(spec.notifications?.map(({ name, type }) => [name, type]));
  const done = new Map<JournalEntry, Set<string>>();
  const dropped: DroppedNotice[] = [];
  let ledger = before;
  for (const { record, entry, name } of undelivered(before)) {
    const type = types.get(name);
    const isLeft = type !== undefined && !isDelivered(name, eventId(record, entry));
    if (isLeft && now - Date.parse(entry.at) <= MAX_AGE_MS) continue;
    done.set(entry, (done.get(entry) ?? new Set()).add(name));
    if (isLeft)
      dropped.push({
        type,
        message: `gave up notification ${name} of release ${record.id} (${entry.phase} since ${entry.at}): its webhook has not taken it for 24 h`,
      });
  }
  if (done.size === 0) return { ledger, dropped };
  for (const record of before.all) {
    if (!record.journal.some((entry) => done.has(entry))) continue;
    const journal = record.journal.map((entry) => {
      const sent = done.get(entry);
      return sent === undefined
        ? entry
        : withNames(entry, entry.notify?.filter((name) => !sent.has(name)) ?? []);
    });
    ledger = withRecord(ledger, { ...record, journal });
  }
  return { ledger, dropped };
}

/** What is to be delivered now: to each webhook the oldest event that it has not taken. */
export function dueNotices(ledger: Ledger, app: AIApp): readonly Delivery[] {
  const oldest = undelivered(ledger);
  return (app.spec.notifications ?? []).flatMap(({ name, type, secret }) => {
    const next = oldest.find((one) => one.name === name);
    return next === undefined
      ? []
      : [{ target: { name, type, secret }, event: eventOf(app, ledger, next) }];
  });
}

/** Entries of one app never share a time. */
function eventId({ id }: ReleaseRecord, { at }: JournalEntry): string {
  return `${id}-${Date.parse(at)}`;
}

function eventOf(app: AIApp, ledger: Ledger, { record, phase, entry }: Undelivered): ReleaseEvent {
  const { namespace, name } = app.metadata;
  return {
    specversion: "1.0",
    id: eventId(record, entry),
    source: `/apis/${API_VERSION}/namespaces/${namespace}/${PLURAL}/${name}`,
    type: EVENT_TYPE,
    subject: record.id,
    time: entry.at,
    datacontenttype: "application/json",
    data: noticeOf(app, ledger, record, phase, entry),
  };
}

function noticeOf(
  { metadata: { namespace, name } }: AIApp,
  ledger: Ledger,
  record: ReleaseRecord,
  phase: NotifiedPhase,
  entry: JournalEntry,
): ReleaseNotice {
  const before = releasedBefore(ledger, record, entry);
  const { reason, message, blame } = entry;
  const requestedBy = record.journal.findLast(
    ({ by, at }) => by !== undefined && at <= entry.at,
  )?.by;
  const isFailure = phase === "Failed";
  const action = actionOf(`${name} --namespace ${namespace}`, phase, record, before);
  return {
    app: { namespace, name },
    release: named(record),
    phase,
    ...(before !== undefined && { before: named(before) }),
    changed: before === undefined ? [] : changesOf(before, record),
    ...(isFailure && reason !== undefined && { reason }),
    ...(message !== undefined && { message }),
    ...(blame !== undefined && { blame }),
    ...(requestedBy !== undefined && { requestedBy }),
    summary: `AIApp ${namespace}/${name}: release ${record.id} (model version ${record.modelVersion}) ${words[phase]}`,
    ...(action !== undefined && { action }),
  };
}

const words: Readonly<Record<NotifiedPhase, string>> = {
  Verifying: "is being verified",
  AwaitingApproval: "waits for approval",
  Scheduled: "waits for its window, or for the end of a freeze",
  RollingOut: "is rolling out",
  Released: "is fully rolled out",
  Failed: "has failed",
  Superseded: "is superseded",
};

function named(record: ReleaseRecord): NotifiedRelease {
  const { id, image, imageDigest, modelVersion, modelDigest } = record;
  return { id, image, imageDigest, modelVersion, modelDigest };
}

/** The release that was stable when another one entered a phase. */
function releasedBefore(
  { all }: Ledger,
  { id }: ReleaseRecord,
  { at }: JournalEntry,
): ReleaseRecord | undefined {
  const releases = all.flatMap((record) =>
    record.journal.flatMap((entry) =>
      record.id !== id && entry.phase === "Released" && entry.at < at
        ? [{ record, at: entry.at }]
        : [],
    ),
  );
  return releases.toSorted((a, b) => (a.at < b.at ? 1 : -1))[0]?.record;
}

function changesOf(before: ReleaseRecord, after: ReleaseRecord): ReleaseNotice["changed"] {
  const modelOf = ({ model, modelVersion, modelDigest }: ReleaseRecord): string =>
    canonical([model.store, model.name, modelVersion, modelDigest]);
  return [
    ...(before.imageDigest === after.imageDigest ? [] : (["image"] as const)),
    ...(modelOf(before) === modelOf(after) ? [] : (["model"] as const)),
    ...(canonical(before.inputs) === canonical(after.inputs) ? [] : (["spec"] as const)),
  ];
}

/** @param app as arguments of `aiapp` */
function actionOf(
  app: string,
  phase: NotifiedPhase,
  { id }: ReleaseRecord,
  before: ReleaseRecord | undefined,
): string | undefined {
  if (phase === "AwaitingApproval")
    return `Approve it with "aiapp approve ${app}", or with kubectl annotate aiapp ${app} --overwrite ${annotations.approve}=${id}`;
  if (phase !== "Failed") return undefined;
  const kept =
    before === undefined
      ? "No release has served yet."
      : `Release ${before.id} (model version ${before.modelVersion}) stays.`;
  return `${kept} The operator does not try ${id} again. "aiapp status ${app}" shows what to change; "aiapp retry ${app}" tries it again as it is.`;
}
