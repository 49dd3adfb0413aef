import type { AIAppStatus, ReleaseStatus, SourceStatus } from "../../crds/aiapp.ts";
import { annotations, labels } from "../../crds/names.ts";
import { parseReference } from "../sources/reference.ts";
import type { ImageSeen, ModelSeen, Seen } from "../sources/source.ts";
import { urlOf } from "./resources/objects.ts";
import { canonical } from "./canonical.ts";
import { buildConditions, type Findings } from "./conditions.ts";
import { ours, type SourceView } from "./observed.ts";
import { statusOf, type ReleaseRecord } from "./release.ts";

/** Checks that found nothing new are told at most so often: each telling is a write to the API server. */
const TIMES_EVERY_MS = 60_000;

/** The status as it should stand: told anew from the world each time. */
export function buildStatus(findings: Findings): AIAppStatus {
  const { observed, progress, records, now } = findings;
  const { app } = observed;
  const { candidate } = records;
  const url = urlOf(app, ours(observed.service));
  const token = app.metadata.annotations?.[annotations.requestedAt];
  const status: AIAppStatus = {
    observedGeneration: app.metadata.generation,
    conditions: buildConditions(findings),
    replicas: progress.replicas.total,
    readyReplicas: ours(observed.deployment)?.status?.readyReplicas ?? 0,
    selector: `${labels.app}=${app.metadata.name}`,
    ...(url !== undefined && { url }),
    ...(records.current && { current: released(records.current) }),
    ...(candidate && { candidate: statusOf(candidate, "RollingOut", candidate.startedAt) }),
    ...(records.previous && { previous: released(records.previous) }),
    history: records.all
      .slice(0, app.spec.release?.historyLimit ?? 10)
      .map((record) => historical(record, candidate?.id)),
    sources: {
      image: sourceStatus(observed.image, tagOf(observed.image)),
      model: sourceStatus(observed.model, versionOf(observed.model)),
    },
    ...(token !== undefined && { lastHandledReconcileAt: token }),
  };
  return withOldTimes(app.status, status, now);
}

function released(record: ReleaseRecord): ReleaseStatus {
  return statusOf(record, "Released", record.releasedAt ?? record.startedAt);
}

function historical(record: ReleaseRecord, candidate: string | undefined): ReleaseStatus {
  if (record.releasedAt !== undefined) return released(record);
  return statusOf(record, record.id === candidate ? "RollingOut" : "Superseded", record.startedAt);
}

/** What people know an image by: its tag, or the digest that it is pinned to. */
function tagOf({ value }: SourceView<ImageSeen>): string | undefined {
  if (value === undefined) return undefined;
  const { tag, digest } = parseReference(value.image);
  return tag ?? digest;
}

function versionOf({ value }: SourceView<ModelSeen>): string | undefined {
  return value?.version;
}

function sourceStatus(view: SourceView<Seen>, seen: string | undefined): SourceStatus {
  const { reference, value, checkedAt, nextCheckAt, error } = view;
  return {
    reference,
    ...(seen !== undefined && { seen }),
    ...(value !== undefined && { digest: value.digest }),
    ...(checkedAt !== undefined && { lastCheckedAt: seconds(checkedAt) }),
    ...(nextCheckAt !== undefined && { nextCheckAt: seconds(nextCheckAt) }),
    ...(error !== undefined && { lastError: error.message.slice(0, 4096) }),
  };
}

function seconds(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, "Z");
}

/** Keeps the old times of checks when they are all that differs and are not yet old. */
function withOldTimes(old: AIAppStatus | undefined, status: AIAppStatus, now: number): AIAppStatus {
  if (old === undefined || canonical(timeless(old)) !== canonical(timeless(status))) return status;
  const told = Date.parse(
    old.sources?.image?.lastCheckedAt ?? old.sources?.model?.lastCheckedAt ?? "",
  );
  return now - told < TIMES_EVERY_MS ? old : status;
}

function timeless(status: AIAppStatus): unknown {
  const strip = (source: SourceStatus): unknown => ({
    ...source,
    lastCheckedAt: undefined,
    nextCheckAt: undefined,
  });
  const { image, model } = status.sources ?? {};
  return { ...status, sources: { image: image && strip(image), model: model && strip(model) } };
}
