import type { Kind, KubernetesObject } from "../kube/types.ts";

/** What is to be done to the world, in order. Each is idempotent, and the process may end between any two. */
export type Action =
  /** Poll a source, unless a poll began at or after `since` already. */
  | {
      readonly kind: "poll";
      readonly key: string;
      /** Milliseconds. */
      readonly since: number;
      /** A person asks: the back-off after failures does not count. */
      readonly urgent?: true;
    }
  /** Server-side apply. */
  | {
      readonly kind: "apply";
      readonly resource: Kind;
      readonly object: KubernetesObject;
      /** The object that is to be changed, and no other under its name; undefined to create one. */
      readonly uid: string | undefined;
      /** The version that is to be changed, and no later one. */
      readonly resourceVersion?: string;
      /** Another field manager: fields are handed over by it. */
      readonly manager?: string;
    }
  /** Fails when the name is taken. */
  | { readonly kind: "create"; readonly resource: Kind; readonly object: KubernetesObject }
  /** A merge patch; a uid and resourceVersion in it are preconditions. */
  | {
      readonly kind: "patch";
      readonly resource: Kind;
      /** Which object: namespace, name and uid, and the version that it replaces. */
      readonly object: KubernetesObject;
      readonly patch: unknown;
    }
  /** With a uid or a resourceVersion in `object`, only that object, and only as it was read. */
  | { readonly kind: "delete"; readonly resource: Kind; readonly object: KubernetesObject };
