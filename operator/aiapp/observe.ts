import type { AIApp } from "../../crds/aiapp/aiapp.ts";
import type { Clock } from "../clock.ts";
import type { Kube } from "../kube/client.ts";
import {
  kinds,
  type KubernetesObject,
  type V1ControllerRevision,
  type V1Pod,
} from "../kube/types.ts";
import type { Notifier } from "../notify/notifier.ts";
import type { Poller, Subscription } from "../sources/poller.ts";
import type { Seen } from "../sources/source.ts";
import type { AppliedObjects } from "./applied-objects.ts";
import type { Cache } from "./cache.ts";
import { containers } from "../../crds/names.ts";
import type { CanaryMeter } from "./canary-meter.ts";
import { milliseconds } from "../../crds/grammar/duration.ts";
import type { FreezeView } from "./freeze-view.ts";
import type { PolicyView } from "./policy-view.ts";
import {
  ours,
  slotOf,
  type Observed,
  type OwnedSlots,
  type Slot,
  type SourceView,
} from "./observed.ts";
import { lastOf } from "./release/journal.ts";
import { isVerifying, makeLedger, releasedAt } from "./release/ledger.ts";
import { readRecord, type ReleaseRecord } from "./release/record.ts";
import type {
  createSourceResolver,
  RecordedRelease,
  RecordedSources,
  ResolvedSource,
} from "./resolve-sources.ts";
import { ownedObjects, slotNames, type Needs, type OwnedObject } from "./resources/owned.ts";

export interface ObserveTools {
  readonly kube: Kube;
  /** The records of an app's releases, the operator's own last writes among them. */
  readonly revisions: (key: string) => readonly V1ControllerRevision[];
  readonly cache: Cache;
  readonly clock: Pick<Clock, "now">;
  readonly poller: Poller;
  readonly resolver: ReturnType<typeof createSourceResolver>;
  readonly freezes: FreezeView;
  readonly notifier: Pick<Notifier, "view">;
  readonly meter: Pick<CanaryMeter, "of">;
  readonly policies: Pick<PolicyView, "refusal">;
  readonly applied: Pick<AppliedObjects, "isOutcome">;
}

/** Reads the world around one app. */
export async function observe(
  app: AIApp,
  tools: ObserveTools,
  signal: AbortSignal,
): Promise<Observed> {
  const { kube, cache, clock, poller, resolver } = tools;
  const key = `${app.metadata.namespace}/${app.metadata.name}`;
  const records = readRecords(app, tools.revisions(key));
  const ledger = makeLedger(records);
  const needs = { spec: app.spec, isVerifying: isVerifying(ledger) };
  const [image, model, owned, recorded] = await Promise.all([
    resolver.image(app, signal),
    resolver.model(app, signal),
    observeOwned(app, needs, tools, signal),
    Promise.all(
      [ledger.stable, ledger.previous].flatMap((record) =>
        record === undefined
          ? []
          : [
              resolver
                .recorded(app, neededBy(record), signal)
                .then((sources) => ({ record, sources })),
            ],
      ),
    ),
  ]);
  const pods = cache.pods.indexed(key);
  const intervalMs = milliseconds(app.spec.interval);
  const recordedMs = Math.max(intervalMs, RECORDED_INTERVAL_MS);
  poller.subscribe(key, [
    // Of a source that is also followed, the shorter interval counts: it comes last.
    ...recorded.flatMap(({ record, sources }) => [
      ...recordedSubscriptions(sources, recordedMs),
      ...keeperSubscriptions(sources, keepWithinMs(record, clock.now()), poller),
    ]),
    ...[image, model].flatMap((resolved) => subscription(resolved, intervalMs)),
  ]);
  return {
    app,
    owned,
    records,
    pods,
    recorded: recorded.map(({ record, sources }) => ({
      record,
      image: viewOf(sources.image, poller),
      model: viewOf(sources.model, poller),
      puller: sources.puller && {
        ...viewOf(sources.puller, poller),
        isConclusive: sources.puller.isConclusive,
      },
      kept: sources.kept && {
        image: viewOf(sources.kept.image, poller),
        model: viewOf(sources.kept.model, poller),
      },
    })),
    freezes: tools.freezes.of(app.metadata.namespace),
    deliveries: tools.notifier.view(key),
    measured: tools.meter.of(key),
    isOutcome: (...object) => tools.applied.isOutcome(key, ...object),
    refusal: tools.policies.refusal(app),
    rejectedPods: await readRejection(owned, pods, kube, signal),
    image: viewOf(image, poller),
    model: viewOf(model, poller),
  };
}

/** How often the image and the model of recorded releases are looked for: a HEAD and a conditional GET each. */
const RECORDED_INTERVAL_MS = 5 * 60_000;
/** How often copies are looked for: nothing but a person or a rule deletes them. */
const KEEPER_INTERVAL_MS = 15 * 60_000;
/** How soon a copy goes on that one poll did not end. */
const COPYING_INTERVAL_MS = 10_000;
/** A copy is begun so long after the release at the latest: where many apps release at once, all releases come first. */
const KEEP_WITHIN_MS = 60_000;

function recordedSubscriptions(
  { image, model, puller }: RecordedSources,
  intervalMs: number,
): readonly Subscription[] {
  const seen = [image, model, ...(puller === undefined ? [] : [puller])];
  return seen.flatMap((resolved) => subscription(resolved, intervalMs));
}

function keeperSubscriptions(
  { kept }: RecordedSources,
  firstWithinMs: number,
  poller: Poller,
): readonly Subscription[] {
  if (kept === undefined) return [];
  return [kept.image, kept.model].flatMap((keeper) => {
    const isCopying = viewOf(keeper, poller).value?.state === "Copying";
    const intervalMs = isCopying ? COPYING_INTERVAL_MS : KEEPER_INTERVAL_MS;
    return subscription(keeper, intervalMs, firstWithinMs);
  });
}

/** After a restart the copies of older releases are looked for at once. */
function keepWithinMs(record: ReleaseRecord, now: number): number {
  const age = now - (Date.parse(releasedAt(record) ?? "") || 0);
  return Math.min(Math.max(KEEP_WITHIN_MS - age, 0), KEEP_WITHIN_MS);
}

function subscription(
  resolved: ResolvedSource<Seen>,
  intervalMs: number,
  firstWithinMs = 0,
): readonly Subscription[] {
  return "source" in resolved ? [{ source: resolved.source, intervalMs, firstWithinMs }] : [];
}

/** What the pods of a recorded release need. */
function neededBy(record: ReleaseRecord): RecordedRelease {
  const { template, journal } = record;
  const puller = template.spec?.initContainers?.find(({ name }) => name === containers.pull);
  const began = lastOf(journal, "RollingOut")?.at ?? releasedAt(record) ?? "";
  return { ...record, pullImage: puller?.image, rolledOutAt: Date.parse(began) || 0 };
}

function readRecords(
  app: AIApp,
  revisions: readonly V1ControllerRevision[],
): readonly ReleaseRecord[] {
  return revisions
    .filter(({ metadata }) =>
      metadata?.ownerReferences?.some(({ uid }) => uid === app.metadata.uid),
    )
    .flatMap((revision) => readRecord(revision) ?? []);
}

async function observeOwned(
  app: AIApp,
  needs: Needs,
  tools: ObserveTools,
  signal: AbortSignal,
): Promise<OwnedSlots> {
  const slots = await Promise.all(
    slotNames.map(async (name) => [
      name,
      await observeSlot(app, ownedObjects[name] as OwnedObject, needs, tools, signal),
    ]),
  );
  // Every slot of the table, each with the kind that its entry names.
  return Object.fromEntries(slots) as OwnedSlots;
}

/** What the cache lacks is read from the API server: the name may be free, or taken by an object of another owner. */
async function observeSlot(
  app: AIApp,
  { kind, nameOf, isNeeded }: OwnedObject,
  needs: Needs,
  { kube, cache }: ObserveTools,
  signal: AbortSignal,
): Promise<Slot<KubernetesObject>> {
  const { namespace } = app.metadata;
  const name = nameOf(app.metadata.name);
  const cached = cache.of(kind).get(namespace, name);
  if (cached === undefined && !isNeeded(needs)) return { state: "absent" };
  const found = cached ?? (await kube.get(kind, namespace, name, signal));
  return found === undefined ? { state: "absent" } : slotOf(app, kind, found);
}

/** More than a Job reports of one cause. */
const MAX_EVENTS = 100;

/** The Job controller reports in events, and nowhere else, that the API server rejects its pods. */
async function readRejection(
  { verification }: OwnedSlots,
  pods: readonly V1Pod[],
  kube: Kube,
  signal: AbortSignal,
): Promise<string | undefined> {
  const { namespace, uid } = ours(verification)?.metadata ?? {};
  if (uid === undefined) return undefined;
  if (pods.some(({ metadata }) => metadata?.ownerReferences?.some((owner) => owner.uid === uid)))
    return undefined;
  const fieldSelector = `involvedObject.uid=${uid},reason=FailedCreate`;
  const options = { namespace, fieldSelector, maxItems: MAX_EVENTS };
  const { items } = await kube.list(kinds.event, options, signal);
  return items.at(-1)?.message;
}

function viewOf<V extends Seen>(resolved: ResolvedSource<V>, poller: Poller): SourceView<V> {
  const { reference } = resolved;
  if ("source" in resolved)
    return { key: resolved.source.key, reference, ...poller.get(resolved.source) };
  return {
    key: undefined,
    reference,
    value: undefined,
    changedAt: undefined,
    checkedAt: undefined,
    nextCheckAt: undefined,
    error: resolved.error,
  };
}
