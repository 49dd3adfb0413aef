import type { AIApp } from "../../../crds/aiapp/aiapp.ts";
import { AIAppStatus } from "../../../crds/aiapp/status.ts";
import { KIND, labels } from "../../../crds/names.ts";
import type { Kube } from "../../kube/client.ts";
import { kinds, type Kind, type KubernetesObject } from "../../kube/types.ts";
import { aiapp, type SpecInput } from "../observed.testing.ts";
import { makeLedger, type Ledger } from "../release/ledger.ts";
import { readRecord } from "../release/record.ts";
import { aiappKind } from "../status-writer.ts";

export interface AppPlace {
  readonly namespace: string;
  readonly name: string;
}

export const NAMESPACES = ["shop", "zoo"] as const;

/** Of three apps two share a namespace, and two the name. */
export function placeOf(index: number): AppPlace {
  const namespace = NAMESPACES[index % 3 === 2 ? 1 : 0];
  const name = index < 3 ? "cats" : `cats-${index}`;
  return { namespace, name: index === 1 ? "dogs" : name };
}

export function keyOf({ namespace, name }: AppPlace): string {
  return `${namespace}/${name}`;
}

/** An object without a label counts for each app of the namespace. */
export function belongsTo({ kind, metadata }: KubernetesObject, app: AppPlace): boolean {
  const { namespace, name, labels: own = {} } = metadata ?? {};
  const owner = kind === KIND ? name : own[labels.app];
  return namespace === app.namespace && (owner === undefined || owner === app.name);
}

/** One AIApp of a stage, and what its user does. */
export class StagedApp {
  readonly place: AppPlace;
  readonly #api: Kube;
  readonly #user: Kube;
  readonly #signal: AbortSignal;
  #spec: SpecInput;

  /** @param user what its user writes with */
  constructor(
    api: Kube,
    user: Kube,
    place: AppPlace,
    { spec, signal }: { readonly spec: SpecInput; readonly signal: AbortSignal },
  ) {
    this.#api = api;
    this.#user = user;
    this.place = place;
    this.#spec = spec;
    this.#signal = signal;
  }

  async change(spec: SpecInput): Promise<void> {
    this.#spec = { ...this.#spec, ...spec };
    const { apiVersion, kind, spec: parsed } = aiapp(this.#spec);
    const object: KubernetesObject & Pick<AIApp, "spec"> = {
      apiVersion,
      kind,
      metadata: this.place,
      spec: JSON.parse(JSON.stringify(parsed)) as AIApp["spec"],
    };
    const options = { fieldManager: "kubectl", force: true };
    await this.#user.apply<KubernetesObject>(aiappKind, object, options, this.#signal);
  }

  async annotate(annotation: string, value: string | undefined): Promise<void> {
    const { namespace, name } = this.place;
    const patch = { metadata: { annotations: { [annotation]: value ?? null } } };
    const options = { fieldManager: "kubectl-annotate" };
    await this.#user.patch(aiappKind, namespace, name, patch, options, this.#signal);
  }

  async remove(): Promise<void> {
    const [app] = await this.objects(aiappKind);
    const uid = app?.metadata?.uid ?? "";
    await this.#user.delete(aiappKind, { ...this.place, uid }, this.#signal);
  }

  async status(): Promise<AIAppStatus> {
    const { namespace, name } = this.place;
    const object = await this.#api.get(aiappKind, namespace, name, this.#signal);
    return AIAppStatus.parse(Reflect.get(object ?? {}, "status"));
  }

  async ledger(): Promise<Ledger> {
    const revisions = await this.objects(kinds.controllerRevision);
    return makeLedger(revisions.flatMap((revision) => readRecord(revision) ?? []));
  }

  async objects<T extends KubernetesObject>(kind: Kind<T>): Promise<readonly T[]> {
    const { namespace } = this.place;
    const { items } = await this.#api.list(kind, { namespace }, this.#signal);
    return items.filter((object) => belongsTo(object, this.place));
  }
}
