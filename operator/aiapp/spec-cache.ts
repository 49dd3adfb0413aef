import { z } from "zod";

import { AIApp } from "../../crds/aiapp/aiapp.ts";
import type { KubernetesObject } from "../kube/types.ts";
import { excessOf, SPEC_LIMITS } from "./limits.ts";

type Parsed =
  | { readonly success: true; readonly data: AIApp }
  | { readonly success: false; readonly error: z.ZodError };

const Rest = AIApp.omit({ spec: true });

interface Entry {
  readonly uid: string;
  readonly generation: number;
  readonly spec: AIApp["spec"];
}

/**
 * Checks AIApps against the schema. A spec is checked once for each generation: until it changes it stays the same
 * object, so that what is computed from it can be kept beside it.
 */
export class SpecCache {
  /** One entry an app. */
  readonly #entries = new Map<string, Entry>();
  /** Objects are never changed in place: many reconciles find the one that the last found. */
  readonly #parsed = new WeakMap<KubernetesObject, Parsed>();

  parse(key: string, object: KubernetesObject): Parsed {
    const parsed = this.#parsed.get(object) ?? this.#parse(key, object);
    this.#parsed.set(object, parsed);
    return parsed;
  }

  #parse(key: string, object: KubernetesObject): Parsed {
    const rest = Rest.safeParse(object);
    const known = this.#entries.get(key);
    if (rest.success && known !== undefined) {
      const { uid, generation } = rest.data.metadata;
      if (known.uid === uid && known.generation === generation)
        return { success: true, data: { ...rest.data, spec: known.spec } };
    }
    const excess = excessOf(Reflect.get(object, "spec"), SPEC_LIMITS);
    if (excess !== undefined) return { success: false, error: tooMuch(excess) };
    const parsed = AIApp.safeParse(object);
    if (parsed.success) {
      const { metadata, spec } = parsed.data;
      this.#entries.set(key, { uid: metadata.uid, generation: metadata.generation, spec });
    }
    return parsed;
  }

  forget(key: string): void {
    this.#entries.delete(key);
  }
}

/** As the schema would say it. */
function tooMuch(message: string): z.ZodError {
  return new z.ZodError([{ code: "custom", path: ["spec"], message, input: undefined }]);
}
