import { isDeepStrictEqual } from "node:util";

import type {
  AIAppStatus,
  KeptStatus,
  Phase,
  ReleaseStatus,
  ServedStatus,
  SourceStatus,
} from "../../crds/aiapp/status.ts";
import { parseReference } from "../../crds/grammar/image-reference.ts";
import { formatTime } from "../../crds/grammar/rfc3339.ts";
import type { ImageSeen, ModelSeen, Seen } from "../sources/source.ts";
import { buildConditions } from "./conditions/build.ts";
import { describeBlame } from "./conditions/facts.ts";
import type { Findings } from "./conditions/findings.ts";
import { readIntents } from "./intents.ts";
import { ours, reportedKept, type Observed, type SourceView } from "./observed.ts";
import type { Release } from "./release/identity.ts";
import { phaseOf, phaseSince, releasedAt, type Ledger } from "./release/ledger.ts";
import type { ReleaseRecord } from "./release/record.ts";
import { memoryLimitOf } from "./resources/memory-limit.ts";
import { roleSelector } from "./resources/owner.ts";
import { findDisruptions } from "./steps/disruptions.ts";
import { urlOf } from "./resources/service.ts";

/**
 * The status, recomputed from the world on every reconcile. No decision rests on it. Times of checks alone are no reason
 * to write it: they are refreshed together with the next change.
 */
export function buildStatus(findings: Findings): AIAppStatus {
  const { observed, arrangement, serving, ledger } = findings;
  const { app, owned } = observed;
  const { stable, previous, candidate } = ledger;
  const url = urlOf(app, ours(owned.service));
  const { pollToken } = readIntents(app);
  const failed = quarantined(ledger);
  const { gates } = findings.releases;
  const opensAt = gates === undefined || gates.scheduled.isOpen ? undefined : gates.scheduled.until;
  const nextReleaseTime = opensAt === undefined ? undefined : formatTime(opensAt);
  // While a rollout changes the Deployment, what was there before still counts.
  const unmanaged = findings.unmanaged ?? app.status?.unmanagedEntries ?? [];
  const overridden = findings.overridden ?? app.status?.overriddenFields ?? [];
  const disruptions = findDisruptions(observed, findings.rollout);
  const status: AIAppStatus = {
    observedGeneration: app.metadata.generation,
    conditions: buildConditions(findings),
    replicas: serving.replicas.total,
    readyReplicas: serving.replicas.ready,
    selector: Object.entries(roleSelector(app, arrangement.serving))
      .map((pair) => pair.join("="))
      .join(","),
    ...(url !== undefined && { url }),
    ...(stable && { current: released(stable, observed) }),
    ...(candidate && { candidate: inPhase(candidate) }),
    ...(previous && { previous: released(previous, observed) }),
    history: ledger.all.slice(0, app.spec.release?.historyLimit ?? 10).map(inPhase),
    ...(failed.length > 0 && { quarantined: failed }),
    ...(disruptions && { disruptions }),
    ...(unmanaged.length > 0 && { unmanagedEntries: [...unmanaged] }),
    ...(overridden.length > 0 && { overriddenFields: [...overridden] }),
    ...(nextReleaseTime !== undefined && { nextReleaseTime }),
    sources: {
      image: sourceStatus(observed.image, tagOf(observed.image)),
      model: sourceStatus(observed.model, versionOf(observed.model)),
    },
    ...(pollToken !== undefined && { lastHandledReconcileAt: pollToken }),
  };
  return sameButForTimes(app.status, status) ? app.status : status;
}

function released(record: ReleaseRecord, { app, recorded }: Observed): ServedStatus {
  const view = recorded.find((one) => one.record.id === record.id);
  const kept = view && reportedKept(view, app);
  const [image, model] = [keptStatus(kept?.image), keptStatus(kept?.model)];
  const memoryLimit = memoryLimitOf(record.template);
  return {
    ...statusOf(record, "Released", releasedAt(record) ?? ""),
    ...(memoryLimit !== undefined && { memoryLimit }),
    ...((image ?? model) && { kept: { ...(image && { image }), ...(model && { model }) } }),
  };
}

/** Undefined until the first poll. */
function keptStatus(kept: KeptStatus | undefined): KeptStatus | undefined {
  return kept && { state: kept.state, message: kept.message.slice(0, 2048) };
}

/** Records are read once for each version of their object: so is what is reported of them. */
const reported = new WeakMap<ReleaseRecord, ReleaseStatus>();

function inPhase(record: ReleaseRecord): ReleaseStatus {
  const known = reported.get(record);
  if (known !== undefined) return known;
  const status = reportOf(record);
  reported.set(record, status);
  return status;
}

function reportOf(record: ReleaseRecord): ReleaseStatus {
  const { reason, message } = record.journal.at(-1) ?? {};
  // Who asked for the rollout stays to be seen once it is complete.
  const by = record.journal.findLast((entry) => entry.by !== undefined)?.by;
  const text = [message, describeBlame(record)].filter(Boolean).join("; ");
  return {
    ...statusOf(record, phaseOf(record), phaseSince(record)),
    ...(reason !== undefined && { reason }),
    ...(text !== "" && { message: text }),
    ...(by !== undefined && { by }),
  };
}

/** The failed releases that are not tried again. */
function quarantined({ all }: Ledger): NonNullable<AIAppStatus["quarantined"]> {
  return all
    .filter((record) => phaseOf(record) === "Failed")
    .slice(0, 50)
    .map((record) => {
      const { id, since, reason = "", message = "" } = inPhase(record);
      return { id, since, reason, message };
    });
}

function statusOf(release: Release, phase: Phase, since: string): ReleaseStatus {
  const { id, image, imageDigest, modelVersion, modelDigest } = release;
  const { tag: imageTag = imageDigest } = parseReference(image);
  return { id, image, imageTag, imageDigest, modelVersion, modelDigest, since, phase };
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
    ...(checkedAt !== undefined && { lastCheckedAt: formatTime(checkedAt) }),
    ...(nextCheckAt !== undefined && { nextCheckAt: formatTime(nextCheckAt) }),
    ...(error !== undefined && { lastError: error.message.slice(0, 4096) }),
  };
}

function sameButForTimes(old: AIAppStatus | undefined, status: AIAppStatus): old is AIAppStatus {
  return old !== undefined && isDeepStrictEqual(withoutTimes(old), withoutTimes(status));
}

function withoutTimes(status: AIAppStatus): unknown {
  const strip = (source: SourceStatus): unknown => ({
    ...source,
    lastCheckedAt: undefined,
    nextCheckAt: undefined,
  });
  const { image, model } = status.sources ?? {};
  return { ...status, sources: { image: image && strip(image), model: model && strip(model) } };
}
