import { MANAGER } from "../../crds/names.ts";
import { OperatorError } from "../errors.ts";
import { kinds, type Kind, type KubernetesObject } from "../kube/types.ts";
import type { Action } from "./action.ts";
import { canonical } from "./canonical.ts";

/** As much of an object as the API server keeps apart from what is applied. */
interface Stored extends KubernetesObject {
  spec?: Record<string, unknown>;
  status?: unknown;
}

/** Changes the spec of an object that is applied, before it is stored. */
export type Policy = (key: string, spec: Record<string, unknown>) => void;

/** What an API server makes of a plan's writes, by kind and name: as far as plans need it. */
export class StoredObjects extends Map<string, Stored> {
  #uids = 0;

  create(key: string, object: KubernetesObject): void {
    if (this.has(key)) throw new OperatorError("KUBE_CONFLICT", `${key} already exists`);
    const created = JSON.parse(JSON.stringify(object)) as Stored;
    this.set(key, {
      ...created,
      metadata: { ...created.metadata, uid: `uid-${(this.#uids += 1)}`, resourceVersion: "1" },
    });
  }

  /** A merge patch of metadata and of what stands beside it; the uid and resourceVersion in it are preconditions. */
  patch(key: string, patch: unknown): void {
    const live = this.get(key);
    const { metadata, ...rest } = JSON.parse(JSON.stringify(patch)) as Stored;
    const { uid, resourceVersion, annotations } = metadata ?? {};
    if (live?.metadata?.uid !== uid || live?.metadata?.resourceVersion !== resourceVersion)
      throw new OperatorError("KUBE_CONFLICT", `${key} has changed`);
    this.set(key, {
      ...live,
      ...rest,
      metadata: {
        ...live?.metadata,
        annotations: { ...live?.metadata?.annotations, ...annotations },
        resourceVersion: String(Number(resourceVersion ?? 0) + 1),
      },
    });
  }

  /** Server-side apply: as far as what is applied here needs it. */
  apply(
    key: string,
    { object, uid, manager = MANAGER }: Extract<Action, { kind: "apply" }>,
    policy: Policy,
  ): void {
    const live = this.get(key);
    if (uid !== undefined && live?.metadata?.uid !== uid)
      throw new OperatorError("KUBE_CONFLICT", `${key} is another object`);
    // As JSON, like everything that goes over the wire: undefined members are not sent.
    const applied = JSON.parse(JSON.stringify(object)) as Stored;
    if (applied.spec !== undefined) policy(key, applied.spec);
    const others = (live?.metadata?.managedFields ?? []).filter((one) => one.manager !== manager);
    const owns = applied.spec?.["replicas"] !== undefined;
    const fieldsV1 = { "f:spec": owns ? { "f:replicas": {} } : {} };
    const managedFields = [...others, { manager, operation: "Apply", fieldsV1 }];
    // A field without any owner goes back to its default.
    const held = others.some(({ fieldsV1 }) => canonical(fieldsV1).includes("f:replicas"));
    const kept = held ? live?.spec?.["replicas"] : undefined;
    const spec =
      manager === MANAGER
        ? withDefaults(key, applied.spec, kept)
        : { ...live?.spec, ...applied.spec };
    const generation: unknown = Reflect.get(live?.metadata ?? {}, "generation") ?? 0;
    const moved = canonical(spec) !== canonical(live?.spec);
    this.set(key, {
      ...(manager === MANAGER ? applied : live),
      metadata: {
        ...(manager === MANAGER ? applied.metadata : live?.metadata),
        uid: live?.metadata?.uid ?? `uid-${(this.#uids += 1)}`,
        generation: Number(generation) + (moved ? 1 : 0),
        managedFields,
      },
      ...(spec !== undefined && { spec }),
      ...(live?.status !== undefined && { status: live.status }),
    });
  }
}

export function keyOf(kind: Kind, name: string): string {
  return `${kind.plural}/${name}`;
}

/** Some of what the API server adds. */
function withDefaults(
  key: string,
  spec: Record<string, unknown> | undefined,
  replicas: unknown,
): Record<string, unknown> | undefined {
  if (key.startsWith(`${kinds.service.plural}/`)) return { ...spec, clusterIP: "10.0.0.7" };
  if (!key.startsWith(`${kinds.deployment.plural}/`)) return spec;
  const template = spec?.["template"] as { readonly spec: object };
  return {
    replicas: replicas ?? 1,
    progressDeadlineSeconds: 600,
    ...spec,
    template: { ...template, spec: { restartPolicy: "Always", ...template.spec } },
  };
}
