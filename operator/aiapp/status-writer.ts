import type { AIAppStatus } from "../../crds/aiapp/status.ts";
import { API_VERSION, KIND, MANAGER, PLURAL } from "../../crds/names.ts";
import type { Kube } from "../kube/client.ts";
import type { Kind, KubernetesObject } from "../kube/types.ts";
import { splitKey } from "../runtime/key.ts";
import type { Cache } from "./cache.ts";

/** The resource that this operator is about. */
export const aiappKind: Kind = { apiVersion: API_VERSION, kind: KIND, plural: PLURAL };

/** Writes the status of AIApps, and reads back its own writes until the cache shows them. */
export class StatusWriter {
  readonly #kube: Kube;
  readonly #cache: Cache;
  /** What the last write returned, and the version in the cache that it replaces. One entry an app. */
  readonly #written = new Map<
    string,
    { readonly basedOn: string; readonly object: KubernetesObject }
  >();

  constructor(kube: Kube, cache: Cache) {
    this.#kube = kube;
    this.#cache = cache;
  }

  /** The AIApp as the cache has it, or as the last write left it. */
  latest(key: string): KubernetesObject | undefined {
    const { namespace, name } = splitKey(key);
    const cached = this.#cache.apps.get(namespace, name);
    const own = this.#written.get(key);
    if (own === undefined) return cached;
    if (cached?.metadata?.resourceVersion === own.basedOn) return own.object;
    this.#written.delete(key);
    return cached;
  }

  async write(
    key: string,
    object: KubernetesObject,
    status: AIAppStatus,
    signal: AbortSignal,
  ): Promise<void> {
    const { namespace = "", name = "", uid = "", resourceVersion = "" } = object.metadata ?? {};
    const desired: KubernetesObject & { readonly status: AIAppStatus } = {
      metadata: { namespace, name, uid },
      status,
    };
    const result = await this.#kube.apply<KubernetesObject>(
      aiappKind,
      desired,
      { fieldManager: MANAGER, force: true, subresource: "status" },
      signal,
    );
    const basedOn = this.#written.get(key)?.basedOn ?? resourceVersion;
    this.#written.set(key, { basedOn, object: result });
  }

  forget(key: string): void {
    this.#written.delete(key);
  }
}
