import { z } from "zod";

import { annotations, containers, labels, MANAGER, revisionName } from "../../../crds/names.ts";
import type { V1ControllerRevision, V1PodTemplateSpec } from "../../kube/types.ts";
import { isReference } from "../../../crds/grammar/image-reference.ts";
import type { Action } from "../action.ts";
import { canonical, hashOf } from "../canonical.ts";
import { excessOf, RECORD_LIMITS } from "../limits.ts";
import { kinds } from "../../kube/types.ts";
import { ownerReference, type Owner } from "../resources/owner.ts";
import type { Journal } from "../../../crds/journal.ts";
import { readJournal, writeJournal } from "./journal.ts";
import { ReleaseInputs, type Release } from "./identity.ts";

/**
 * A release as a ControllerRevision keeps it. `data` is frozen when the record is created (Kubernetes refuses to change
 * it); what changes meanwhile is in annotations: the journal, the image's name, the request.
 */
export interface ReleaseRecord extends Release {
  /** As it was rendered when the rollout began, without the labels that say whose and which pods they are. */
  readonly template: V1PodTemplateSpec;
  /** Grows with each start of a rollout. */
  readonly revision: number;
  readonly journal: Journal;
  /** What the spec asked for when this release was chosen last (`requestOf`). */
  readonly request: string | undefined;
  /** The object that keeps it; undefined until it has been created. */
  readonly stored: StoredObject | undefined;
}

interface StoredObject {
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string | undefined;
}

/** The version of `data`: raised when its meaning changes. Newer ones are read as far as they are understood. */
const SCHEMA = 1;

const Containers = z.array(z.looseObject({ name: z.string() }));
const Template = z.looseObject({
  spec: z.looseObject({ containers: Containers.min(1), initContainers: Containers.optional() }),
});

/** Whether a rendered template has the lists that the operator reads: spec.podTemplate is merged into it unchecked. */
export function isTemplate(value: unknown): boolean {
  return Template.safeParse(value).success;
}

const RecordData = z.looseObject({
  schema: z.number().int().min(1),
  id: z.string().regex(/^[0-9a-f]{10}$/),
  imageDigest: z.string(),
  modelVersion: z.string(),
  modelDigest: z.string(),
  // A size that cannot be used is as good as none: no release is lost for it.
  modelBytes: z.number().int().min(0).optional().catch(undefined),
  model: z.object({ store: z.string(), name: z.string() }),
  inputs: ReleaseInputs,
  template: z.custom<V1PodTemplateSpec>(isTemplate),
});

/** Objects of the cache are never changed in place: each is read once. */
const read = new WeakMap<V1ControllerRevision, ReleaseRecord | undefined>();

/** Reads a record; undefined when it is no record of ours. */
export function readRecord(revision: V1ControllerRevision): ReleaseRecord | undefined {
  if (!read.has(revision)) read.set(revision, parseRecord(revision));
  return read.get(revision);
}

function parseRecord(revision: V1ControllerRevision): ReleaseRecord | undefined {
  if (excessOf(revision.data, RECORD_LIMITS) !== undefined) return undefined;
  const { data } = RecordData.safeParse(revision.data);
  const { name, uid, resourceVersion, annotations: notes = {} } = revision.metadata ?? {};
  if (data === undefined || name === undefined || uid === undefined) return undefined;
  const server = data.template.spec?.containers.find(({ name }) => name === containers.server);
  const image = [notes[annotations.image], server?.image].find(
    (name) => name !== undefined && isReference(name),
  );
  if (image === undefined) return undefined;
  return {
    ...contentOf({ ...data, image }),
    image,
    revision: revision.revision,
    journal: readJournal(notes[annotations.journal]),
    request: notes[annotations.request],
    stored: { name, uid, resourceVersion },
  };
}

/** What `data` holds: all that makes the release, and how it was rendered. */
function contentOf({
  id,
  imageDigest,
  modelVersion,
  modelDigest,
  modelBytes,
  model,
  inputs,
  template,
}: Release & Pick<ReleaseRecord, "template">): Omit<Release, "image"> &
  Pick<ReleaseRecord, "template"> {
  return { id, imageDigest, modelVersion, modelDigest, modelBytes, model, inputs, template };
}

/** All that changes about a record. */
function notesOf({ image, journal, request }: ReleaseRecord): Record<string, string> {
  return {
    [annotations.image]: image,
    [annotations.journal]: writeJournal(journal),
    ...(request !== undefined && { [annotations.request]: request }),
  };
}

/**
 * Named by content: two operators, or one with an old cache, cannot make two records of one rendering. Records that a deleted
 * AIApp of the same name has left behind are not in the way.
 */
function recordName({ metadata: { name, uid } }: Owner, { id, template }: ReleaseRecord): string {
  return revisionName(name, id, hashOf({ uid, template }).slice(0, 5));
}

export function newRevision(owner: Owner, record: ReleaseRecord): V1ControllerRevision {
  const { id, revision } = record;
  return {
    metadata: {
      namespace: owner.metadata.namespace,
      name: recordName(owner, record),
      labels: {
        ...owner.spec.labels,
        [labels.app]: owner.metadata.name,
        [labels.managedBy]: MANAGER,
        [labels.release]: id,
      },
      annotations: { ...owner.spec.annotations, ...notesOf(record) },
      ownerReferences: [ownerReference(owner)],
    },
    revision,
    // With sorted keys: the garbage collector's patch of the owner writes them so, and any other order is a change.
    data: JSON.parse(canonical({ schema: SCHEMA, ...contentOf(record) })),
  };
}

/**
 * Writes a record as it should be now. Both writes fail rather than overwrite: the journal of a record that the cache
 * does not show yet, or shows as it was, is never lost.
 */
export function keepRecord(owner: Owner, record: ReleaseRecord): Action {
  const { stored, revision } = record;
  const resource = kinds.controllerRevision;
  if (stored === undefined) return { kind: "create", resource, object: newRevision(owner, record) };
  const { name, uid, resourceVersion } = stored;
  const { namespace } = owner.metadata;
  const patch = {
    metadata: {
      uid,
      ...(resourceVersion !== undefined && { resourceVersion }),
      annotations: notesOf(record),
    },
    revision,
  };
  const version = resourceVersion === undefined ? {} : { resourceVersion };
  return {
    kind: "patch",
    resource,
    object: { metadata: { namespace, name, uid, ...version } },
    patch,
  };
}

export function forgetRecord(owner: Owner, { name, uid, resourceVersion }: StoredObject): Action {
  const { namespace } = owner.metadata;
  return {
    kind: "delete",
    resource: kinds.controllerRevision,
    object: {
      metadata: { namespace, name, uid, ...(resourceVersion !== undefined && { resourceVersion }) },
    },
  };
}
