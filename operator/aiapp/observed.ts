import type { AIApp } from "../../crds/aiapp.ts";
import { KIND } from "../../crds/names.ts";
import type {
  Kind,
  KubernetesObject,
  V1Deployment,
  V1Pod,
  V1PodDisruptionBudget,
  V1Service,
  V1ServiceAccount,
  V2HorizontalPodAutoscaler,
} from "../kube/types.ts";
import type { ImageSeen, ModelSeen, Seen, SourceState } from "../sources/source.ts";
import type { ReleaseRecord } from "./release.ts";

/** An object under a name that we want: ours, somebody else's, or not there. */
export type Slot<T> =
  | { readonly state: "absent" }
  | { readonly state: "ours"; readonly object: T }
  | {
      readonly state: "foreign";
      readonly kind: string;
      /** It belonged to an AIApp of the same name that was deleted, and goes by itself. */
      readonly leaving: boolean;
    };

/** Whose an object is that was found under a name that we want. */
export function slotOf<T extends KubernetesObject>(
  { metadata: { uid, name } }: AIApp,
  { kind }: Kind<T>,
  object: T,
): Slot<T> {
  const owner = object.metadata?.ownerReferences?.find(({ controller }) => controller === true);
  if (owner?.uid === uid) return { state: "ours", object };
  return { state: "foreign", kind, leaving: owner?.kind === KIND && owner.name === name };
}

export function ours<T>(slot: Slot<T>): T | undefined {
  return slot.state === "ours" ? slot.object : undefined;
}

/** A source as the app names it, and what is known of it. */
export interface SourceView<V extends Seen> extends SourceState<V> {
  /** The poller's key; undefined when the source cannot even be asked (a missing Secret): `error` then says why. */
  readonly key: string | undefined;
  readonly reference: string;
}

/** The world around one AIApp, read once: all that a decision may rest on. */
export interface Observed {
  readonly app: AIApp;
  readonly deployment: Slot<V1Deployment>;
  readonly service: Slot<V1Service>;
  readonly podDisruptionBudget: Slot<V1PodDisruptionBudget>;
  readonly horizontalPodAutoscaler: Slot<V2HorizontalPodAutoscaler>;
  readonly serviceAccount: Slot<V1ServiceAccount>;
  readonly records: readonly ReleaseRecord[];
  readonly pods: readonly V1Pod[];
  readonly image: SourceView<ImageSeen>;
  readonly model: SourceView<ModelSeen>;
}
