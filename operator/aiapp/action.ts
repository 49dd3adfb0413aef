import type { Kind, KubernetesObject } from "../kube/types.ts";

/** What is to be done to the world, in order. Each is idempotent, and the process may end between any two. */
export type Action =
  /** See to it that a source is polled at or after a moment. */
  | {
      readonly kind: "poll";
      readonly key: string;
      readonly since: number;
      /** Somebody asks: the back-off after failures does not count. */
      readonly urgent?: true;
    }
  | {
      readonly kind: "apply";
      readonly resource: Kind;
      readonly object: KubernetesObject;
      /** The object that is to be changed, and no other under its name; undefined to make a new one. */
      readonly uid: string | undefined;
      /** Another field manager: fields are handed over by it. */
      readonly manager?: string;
    }
  | { readonly kind: "delete"; readonly resource: Kind; readonly object: KubernetesObject };
