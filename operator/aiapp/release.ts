import { createHash } from "node:crypto";

import { z } from "zod";

import type { AIApp, ReleaseStatus, Phase } from "../../crds/aiapp.ts";
import { annotations, containers, labels, MANAGER, revisionName } from "../../crds/names.ts";
import type { V1ControllerRevision, V1PodTemplateSpec } from "../kube/types.ts";
import { isReference, parseReference } from "../sources/reference.ts";
import { ownerReference } from "./resources/owner.ts";
import { hashOf } from "./canonical.ts";

/** A code image and a model version that were seen together. */
export interface Pair {
  /** As the spec names it, or with the tag that it chooses: what people call it now. */
  readonly image: string;
  readonly imageDigest: string;
  readonly modelVersion: string;
  readonly modelDigest: string;
}

/** The unit of rollout, rollback and history: a pair, and the pod template that the spec makes of it. */
export interface Release extends Pair {
  readonly id: string;
  readonly model: { readonly store: string; readonly name: string };
  readonly template: V1PodTemplateSpec;
}

/** A release as kept in a ControllerRevision. */
export interface ReleaseRecord extends Release {
  /** Grows with each start of a rollout. */
  readonly revision: number;
  /** RFC 3339. */
  readonly startedAt: string;
  readonly releasedAt: string | undefined;
}

/** First 10 hex characters of the SHA-256 over both digests and the template. */
export function releaseId(pair: Pair, template: V1PodTemplateSpec): string {
  return createHash("sha256")
    .update(`${pair.imageDigest}\n${pair.modelDigest}\n${hashOf(template)}`)
    .digest("hex")
    .slice(0, 10);
}

const Containers = z.array(z.looseObject({ name: z.string() }));
const Template = z.looseObject({
  spec: z.looseObject({ containers: Containers.min(1), initContainers: Containers.optional() }),
});

/** Whether the lists that we look into are lists: a podTemplate is anybody's, and merged over ours. */
export function isTemplate(value: unknown): boolean {
  return Template.safeParse(value).success;
}

const RecordData = z.object({
  id: z.string().regex(/^[0-9a-f]{10}$/),
  imageDigest: z.string(),
  modelVersion: z.string(),
  modelDigest: z.string(),
  model: z.object({ store: z.string(), name: z.string() }),
  template: z.custom<V1PodTemplateSpec>(isTemplate),
});

/** Reads a record; undefined when somebody else wrote what is in it. */
export function readRecord(revision: V1ControllerRevision): ReleaseRecord | undefined {
  const data = RecordData.safeParse(revision.data);
  if (!data.success) return undefined;
  const notes = revision.metadata?.annotations ?? {};
  const server = data.data.template.spec?.containers.find(({ name }) => name === containers.server);
  const image = [notes[annotations.image], server?.image].find(
    (name) => name !== undefined && isReference(name),
  );
  if (image === undefined) return undefined;
  return {
    ...data.data,
    image,
    revision: revision.revision,
    startedAt: notes[annotations.startedAt] ?? "",
    releasedAt: notes[annotations.releasedAt],
  };
}

/** The ControllerRevision that keeps a release: everything that a rollback needs, if all else is lost. */
export function writeRecord(app: AIApp, record: ReleaseRecord): V1ControllerRevision {
  const { revision, startedAt, releasedAt, image, ...data } = record;
  return {
    metadata: {
      namespace: app.metadata.namespace,
      name: revisionName(app.metadata.name, record.id),
      labels: {
        [labels.app]: app.metadata.name,
        [labels.managedBy]: MANAGER,
        [labels.release]: record.id,
      },
      annotations: {
        [annotations.image]: image,
        [annotations.startedAt]: startedAt,
        ...(releasedAt !== undefined && { [annotations.releasedAt]: releasedAt }),
      },
      ownerReferences: [ownerReference(app)],
    },
    revision,
    data,
  };
}

export function statusOf(release: Release, phase: Phase, since: string): ReleaseStatus {
  const { id, image, imageDigest, modelVersion, modelDigest } = release;
  const { tag: imageTag = imageDigest } = parseReference(image);
  return { id, image, imageTag, imageDigest, modelVersion, modelDigest, since, phase };
}
