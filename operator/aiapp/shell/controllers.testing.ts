import { annotations, containers, labels } from "../../../crds/names.ts";
import type { Clock } from "../../clock.ts";
import type { Kube } from "../../kube/client.ts";
import type { FakeKube } from "../../kube/fake/fake.testing.ts";
import { equals } from "../../kube/fake/json.testing.ts";
import {
  kinds,
  type Kind,
  type KubernetesObject,
  type V1Deployment,
  type V1Job,
  type V1Pod,
  type V1PodTemplateSpec,
} from "../../kube/types.ts";
import { readRecord, type ReleaseRecord } from "../release/record.ts";

/** How the pods of a release do. */
export interface Judges {
  /** What the verification of a release finds: `<Reason>: message`, or undefined when it passes. */
  verify: (release: ReleaseRecord) => string | undefined;
  /** What its pods do once they are rolled out: a message with which they crash, or undefined when they serve. */
  serve: (release: ReleaseRecord) => string | undefined;
}

const ROLLOUT_MS = 5000;
const VERIFY_MS = 4000;

/** Stand-ins for the controllers of Deployments and Jobs and for the kubelet, in one namespace. */
export class Controllers {
  readonly #kube: Kube & Pick<FakeKube, "version">;
  readonly #clock: Clock;
  readonly #namespace: string;
  readonly #judges: Judges;
  readonly #signal: AbortSignal;
  /** By Deployment: the pod template of which every pod is ready. */
  readonly #serving = new Map<string, V1PodTemplateSpec>();
  readonly #rollouts = new Map<
    string,
    { readonly template: V1PodTemplateSpec; readonly doneAt: number }
  >();
  readonly #verifications = new Map<string, number>();
  /** The version of all objects with which nothing was left to do. */
  #settled: number | undefined;

  constructor(
    kube: Kube & Pick<FakeKube, "version">,
    clock: Clock,
    judges: Judges,
    { namespace, signal }: { readonly namespace: string; readonly signal: AbortSignal },
  ) {
    this.#kube = kube;
    this.#clock = clock;
    this.#judges = judges;
    this.#namespace = namespace;
    this.#signal = signal;
  }

  /** Does what is due now. Returns whether that was anything. */
  async act(): Promise<boolean> {
    const version = this.#kube.version();
    if (version === this.#settled && !this.#isDue()) return false;
    const acted = await this.#actOnAll();
    this.#settled = acted ? undefined : version;
    return acted;
  }

  /** A rollout or a verification has come to its end. What judges say may be another thing each time. */
  #isDue(): boolean {
    const now = this.#clock.now();
    return (
      this.#rollouts.values().some(({ doneAt }) => doneAt <= now) ||
      this.#verifications.values().some((doneAt) => doneAt <= now)
    );
  }

  async #actOnAll(): Promise<boolean> {
    let acted = false;
    for (const deployment of await this.#list(kinds.deployment))
      if (await this.#deploy(deployment)) acted = true;
    const jobs = await this.#list(kinds.job);
    for (const job of jobs) if (await this.#verify(job)) acted = true;
    const deployments = await this.#list(kinds.deployment);
    const uids = new Set([...jobs, ...deployments].map(({ metadata }) => metadata?.uid));
    for (const known of [this.#serving, this.#rollouts, this.#verifications])
      for (const uid of known.keys()) if (!uids.has(uid)) known.delete(uid);
    for (const pod of await this.#list(kinds.pod)) {
      const owner = pod.metadata?.ownerReferences?.[0];
      if (owner === undefined || uids.has(owner.uid)) continue;
      await this.#delete(pod);
      acted = true;
    }
    return acted;
  }

  async #deploy(deployment: V1Deployment): Promise<boolean> {
    const { metadata, spec } = deployment;
    if (spec === undefined) return false;
    const { uid = "" } = metadata ?? {};
    const { template } = spec;
    const replicas = spec.replicas ?? 1;
    const isObserved = deployment.status?.observedGeneration === metadata?.generation;
    if (equals(template, this.#serving.get(uid))) {
      this.#rollouts.delete(uid);
      if (isObserved) return false;
      await this.#report(deployment, replicas, replicas, replicas);
      await this.#removePodsExcept(spec.template);
      return true;
    }
    const rollout = this.#rollouts.get(uid);
    if (rollout === undefined || !equals(template, rollout.template)) {
      this.#rollouts.set(uid, { template, doneAt: this.#clock.now() + ROLLOUT_MS });
      // So that time moves on to it.
      this.#clock.after(ROLLOUT_MS, () => {});
      await this.#addPod(deployment, spec.template);
      await this.#reportRollout(deployment);
      return true;
    }
    if (!isObserved) {
      await this.#reportRollout(deployment);
      return true;
    }
    if (this.#clock.now() < rollout.doneAt) return false;
    return this.#finish(deployment, spec.template);
  }

  /** New pods are there, and none of them serves yet. */
  async #reportRollout(deployment: V1Deployment): Promise<void> {
    const replicas = deployment.spec?.replicas ?? 1;
    if (!this.#serving.has(deployment.metadata?.uid ?? ""))
      await this.#report(deployment, replicas, replicas, 0);
    else await this.#report(deployment, replicas + 1, Math.min(1, replicas), replicas);
  }

  async #finish(deployment: V1Deployment, template: V1PodTemplateSpec): Promise<boolean> {
    const record = await this.#recordOf(template);
    const crash = record === undefined ? undefined : this.#judges.serve(record);
    const pod = (await this.#pods(template))[0];
    if (crash !== undefined) {
      if (pod?.status?.containerStatuses !== undefined) return false;
      if (pod !== undefined) await this.#endPod(pod, "Running", 1, crash, 3);
      return pod !== undefined;
    }
    const { uid = "" } = deployment.metadata ?? {};
    this.#serving.set(uid, template);
    this.#rollouts.delete(uid);
    const replicas = deployment.spec?.replicas ?? 1;
    await this.#report(deployment, replicas, replicas, replicas);
    await this.#removePodsExcept(template);
    return true;
  }

  async #report(
    deployment: V1Deployment,
    replicas: number,
    updatedReplicas: number,
    availableReplicas: number,
  ): Promise<void> {
    await this.#patchStatus(kinds.deployment, deployment, {
      observedGeneration: deployment.metadata?.generation,
      replicas,
      updatedReplicas,
      readyReplicas: availableReplicas,
      availableReplicas,
    });
  }

  async #verify(job: V1Job): Promise<boolean> {
    const { uid = "" } = job.metadata ?? {};
    if (job.spec === undefined || (job.status?.conditions ?? []).length > 0) return false;
    const id = job.metadata?.labels?.[labels.release] ?? "";
    const doneAt = this.#verifications.get(uid);
    if (doneAt === undefined) {
      const attempt = job.metadata?.annotations?.[annotations.attempt] ?? "";
      const name = `${job.metadata?.name}-${id}-${attempt}`;
      const before = (await this.#list(kinds.pod)).find(({ metadata }) => metadata?.name === name);
      if (before !== undefined) await this.#delete(before);
      await this.#addPod(job, job.spec.template, name);
      this.#verifications.set(uid, this.#clock.now() + VERIFY_MS);
      this.#clock.after(VERIFY_MS, () => {});
      return true;
    }
    if (this.#clock.now() < doneAt) return false;
    const record = await this.#recordOf(job);
    const finding = record === undefined ? "Error: no record" : this.#judges.verify(record);
    const pod = (await this.#list(kinds.pod)).find(
      ({ metadata }) => metadata?.ownerReferences?.[0]?.uid === uid,
    );
    // The kubelet first, the Job controller when it has seen that.
    if (pod !== undefined && pod.status?.containerStatuses === undefined) {
      const phase = finding === undefined ? "Succeeded" : "Failed";
      await this.#endPod(pod, phase, finding === undefined ? 0 : 1, finding ?? "", 0);
      return true;
    }
    const type = finding === undefined ? "Complete" : "Failed";
    await this.#patchStatus(kinds.job, job, { conditions: [{ type, status: "True" }] });
    this.#verifications.delete(uid);
    return true;
  }

  async #addPod(
    owner: V1Deployment | V1Job,
    { metadata, spec }: V1PodTemplateSpec,
    name = `${owner.metadata?.name}-${metadata?.labels?.[labels.release]}`,
  ): Promise<void> {
    const pods = await this.#list(kinds.pod);
    const present = pods.find((pod) => pod.metadata?.name === name);
    if (present !== undefined) await this.#delete(present);
    const { uid = "", name: ownerName = "" } = owner.metadata ?? {};
    const kind = owner.kind ?? "";
    const apiVersion = owner.apiVersion ?? "";
    const object = {
      metadata: {
        namespace: this.#namespace,
        name,
        ...metadata,
        ownerReferences: [{ apiVersion, kind, name: ownerName, uid, controller: true }],
      },
      ...(spec && { spec }),
    };
    await this.#kube.create<V1Pod>(kinds.pod, object, this.#signal);
  }

  async #endPod(
    pod: V1Pod,
    phase: string,
    exitCode: number,
    message: string,
    restartCount: number,
  ): Promise<void> {
    // The pull container reports faults of the store.
    const name = message.startsWith("Storage")
      ? containers.pull
      : (pod.spec?.containers[0]?.name ?? "");
    await this.#patchStatus(kinds.pod, pod, {
      phase,
      containerStatuses: [
        {
          name,
          image: "",
          imageID: "",
          ready: false,
          restartCount,
          state: { terminated: { exitCode, message } },
        },
      ],
    });
  }

  /** Of the same set. */
  async #removePodsExcept(template: V1PodTemplateSpec): Promise<void> {
    for (const pod of await this.#podsOfSet(template))
      if (!isSame(pod, template, labels.release)) await this.#delete(pod);
  }

  async #pods(template: V1PodTemplateSpec): Promise<readonly V1Pod[]> {
    const pods = await this.#podsOfSet(template);
    return pods.filter((pod) => isSame(pod, template, labels.release));
  }

  async #podsOfSet(template: V1PodTemplateSpec): Promise<readonly V1Pod[]> {
    const pods = await this.#list(kinds.pod);
    return pods.filter((pod) => isSame(pod, template, labels.app, labels.role));
  }

  /** Apps that follow the same sources have releases of the same id. */
  async #recordOf(of: Labelled): Promise<ReleaseRecord | undefined> {
    return (await this.#list(kinds.controllerRevision))
      .filter((revision) => isSame(revision, of, labels.app))
      .flatMap((revision) => readRecord(revision) ?? [])
      .find(({ id }) => id === of.metadata?.labels?.[labels.release]);
  }

  async #list<T extends KubernetesObject>(kind: Kind<T>): Promise<readonly T[]> {
    return (await this.#kube.list(kind, { namespace: this.#namespace }, this.#signal)).items;
  }

  async #patchStatus(kind: Kind, object: KubernetesObject, status: unknown): Promise<void> {
    const name = object.metadata?.name ?? "";
    const options = { subresource: "status", fieldManager: "controllers" } as const;
    await this.#kube.patch(kind, this.#namespace, name, { status }, options, this.#signal);
  }

  async #delete(pod: V1Pod): Promise<void> {
    const { name = "", uid = "" } = pod.metadata ?? {};
    await this.#kube.delete(kinds.pod, { namespace: this.#namespace, name, uid }, this.#signal);
  }
}

type Labelled = Pick<V1PodTemplateSpec, "metadata">;

function isSame(one: Labelled, other: Labelled, ...names: readonly string[]): boolean {
  return names.every((name) => one.metadata?.labels?.[name] === other.metadata?.labels?.[name]);
}
