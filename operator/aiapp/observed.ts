import type { AIApp } from "../../crds/aiapp/aiapp.ts";
import type { KeptStatus } from "../../crds/aiapp/status.ts";
import { annotations, KIND } from "../../crds/names.ts";
import { kinds, type Kind, type KubernetesObject, type V1Pod } from "../kube/types.ts";
import type { DeliveryView } from "../notify/delivery.ts";
import type { ImageSeen, KeptSeen, ModelSeen, Seen, SourceState } from "../sources/source.ts";
import type { ReleaseRecord } from "./release/record.ts";
import type { Freezes } from "./release/timing.ts";
import type { Measurement } from "./strategies/measurement.ts";
import type { SlotName, SlotObject } from "./resources/owned.ts";

/** What is found under the name of an owned object: the app's own, one of another owner, or nothing. */
export type Slot<T> =
  | { readonly state: "absent" }
  | { readonly state: "ours"; readonly object: T }
  | {
      readonly state: "foreign";
      readonly kind: string;
      /** Its owner is a deleted AIApp of the same name: the garbage collector is about to remove it. */
      readonly isLeaving: boolean;
      /** An annotation on it would let the app take it over. */
      readonly isAdoptable: boolean;
    };

/** The objects of an AIApp, by the slots of the table of owned objects. */
export type OwnedSlots = { readonly [Name in SlotName]: Slot<SlotObject<Name>> };

/**
 * Whose an object is that was found under the name of an owned object. The app takes over an object without a controller
 * only if an annotation on that object names the app: a user who can write it can delete the object as well.
 */
export function slotOf<T extends KubernetesObject>(
  { metadata: { uid, name } }: AIApp,
  { kind }: Kind<T>,
  object: T,
): Slot<T> {
  const { ownerReferences = [], deletionTimestamp, annotations: notes } = object.metadata ?? {};
  const owner = ownerReferences.find(({ controller }) => controller === true);
  if (owner?.uid === uid) return { state: "ours", object };
  // Names are unique: that AIApp is deleted.
  const isLeaving = owner?.kind === KIND && owner.name === name;
  // A Job cannot be changed, and its verdict is another's.
  const isAdoptable =
    (owner === undefined || isLeaving) &&
    deletionTimestamp === undefined &&
    kind !== kinds.job.kind;
  return isAdoptable && notes?.[annotations.adopt] === name
    ? { state: "ours", object }
    : { state: "foreign", kind, isLeaving, isAdoptable };
}

export function ours<T>(slot: Slot<T>): T | undefined {
  return slot.state === "ours" ? slot.object : undefined;
}

/** A source as the app names it, and what is known of it. */
export interface SourceView<V extends Seen> extends SourceState<V> {
  /** The poller's key; undefined when the source cannot be polled at all (a missing Secret): `error` then says why. */
  readonly key: string | undefined;
  readonly reference: string;
}

/** A recorded release, and what polling finds of its image, its model and their copies now. */
export interface RecordedView {
  readonly record: ReleaseRecord;
  readonly image: SourceView<ImageSeen>;
  readonly model: SourceView<ModelSeen>;
  readonly puller: PullerView | undefined;
  readonly kept: KeptView | undefined;
}

export interface PullerView extends SourceView<ImageSeen> {
  /** It is looked for with a login: that the registry has no such image is not for want of rights. */
  readonly isConclusive: boolean;
}

export interface KeptView {
  readonly image: SourceView<KeptSeen>;
  readonly model: SourceView<KeptSeen>;
}

/**
 * What became of both copies, as it is reported: of both at once, and until they have been polled what the status says, so that
 * a restart of the operator changes nothing.
 */
export function reportedKept({ record, kept }: RecordedView, { status }: AIApp): Kept | undefined {
  if (kept === undefined) return undefined;
  const { image, model } = kept;
  const served = [status?.current, status?.previous].find((one) => one?.id === record.id);
  const before = { image: served?.kept?.image, model: served?.kept?.model };
  if (!isPolled(image) || !isPolled(model)) return before;
  return { image: image.value ?? before.image, model: model.value ?? before.model };
}

function isPolled({ value, error }: SourceView<KeptSeen>): boolean {
  return value !== undefined || error !== undefined;
}

interface Kept {
  readonly image: KeptStatus | undefined;
  readonly model: KeptStatus | undefined;
}

/** The world around one AIApp, read once: all that a decision may rest on. */
export interface Observed {
  readonly app: AIApp;
  readonly owned: OwnedSlots;
  readonly records: readonly ReleaseRecord[];
  readonly pods: readonly V1Pod[];
  /** Whether the current and the previous release are still at their sources. */
  readonly recorded: readonly RecordedView[];
  readonly freezes: Freezes;
  readonly deliveries: DeliveryView;
  /** Whether an owned object, these fields of which are not as applied, is what the API server made of the last apply of it. */
  readonly isOutcome: (kind: Kind, object: KubernetesObject, fields: readonly string[]) => boolean;
  /** Why no AIAppSourcePolicy allows what the app names; undefined where it may name it. */
  readonly refusal: string | undefined;
  /** What the API server says to the Job that verifies a release, while it has no pod: why it may not have one. */
  readonly rejectedPods: string | undefined;
  /** What was measured of a canary, as far as one is followed. */
  readonly measured: Measurement | undefined;
  readonly image: SourceView<ImageSeen>;
  readonly model: SourceView<ModelSeen>;
}
