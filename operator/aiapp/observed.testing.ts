import { createHash } from "node:crypto";

import type { z } from "zod";

import { AIApp } from "../../crds/aiapp/aiapp.ts";
import { type AIAppSpec } from "../../crds/aiapp/spec.ts";
import { API_VERSION, KIND, labels, verificationName } from "../../crds/names.ts";
import type { ErrorCode } from "../errors.ts";
import {
  kinds,
  type Kind,
  type KubernetesObject,
  type V1Deployment,
  type V1OwnerReference,
  type V1Pod,
} from "../kube/types.ts";
import type { DeliveryView } from "../notify/delivery.ts";
import type { ImageSeen, KeptSeen, ModelSeen, Seen, SourceState } from "../sources/source.ts";
import type { PullerSettings } from "./resources/template.ts";
import {
  slotOf,
  type Observed,
  type OwnedSlots,
  type PullerView,
  type Slot,
  type SourceView,
} from "./observed.ts";
import type { Action } from "./action.ts";
import { AppliedObjects } from "./applied-objects.ts";
import { plan, type Plan } from "./plan.ts";
import type { Freeze } from "./release/freeze.ts";
import { lastOf } from "./release/journal.ts";
import { makeLedger } from "./release/ledger.ts";
import { readRecord, type ReleaseRecord } from "./release/record.ts";
import type { Measurement } from "./strategies/measurement.ts";
import { setName, type SetName } from "./resources/owner.ts";
import { keyOf, StoredObjects, type Policy } from "./stored-objects.testing.ts";
import { ownedObjects, slotNames, type OwnedObject } from "./resources/owned.ts";

export type SpecInput = Partial<z.input<typeof AIAppSpec>>;

export const puller: PullerSettings = {
  image: "example.azurecr.io/operator:1",
  azureStorageSuffixes: [],
  insecureHosts: [],
  caBundle: undefined,
  modelServerImages: [],
};

/** A digest, the same for the same text. */
export function digestOf(text: string): string {
  return `sha256:${createHash("sha256").update(text).digest("hex")}`;
}

/** An AIApp as the API server would give it: defaults filled in, checked by the schema. */
export function aiapp(spec: SpecInput = {}): AIApp {
  return AIApp.parse({
    apiVersion: API_VERSION,
    kind: KIND,
    metadata: { namespace: "shop", name: "cats", uid: "uid-of-cats", generation: 1 },
    spec: {
      image: "example.azurecr.io/cats:1",
      modelVersion: "latest",
      model: { store: "https://models.blob.core.windows.net/models", name: "cats" },
      // What most tests are about comes after the verification.
      verify: { enabled: false },
      ...spec,
    },
  });
}

const NOTHING = {
  value: undefined,
  changedAt: undefined,
  checkedAt: undefined,
  nextCheckAt: undefined,
  error: undefined,
};

const APP = "shop/cats";

type Half = "image" | "model";

/**
 * A cluster, a registry and a store in memory, around one AIApp: takes a plan's actions as the real ones would, and is
 * observed again. Nothing happens in it by itself.
 */
export class World {
  /** Moves on with each poll and each reconcile. */
  now = Date.parse("2026-03-01T08:00:00Z");
  app: AIApp;
  pods: V1Pod[] = [];
  puller = puller;
  /** What registry and store hold. */
  published = {
    image: digestOf("image 1"),
    tag: "1",
    version: "1",
    model: digestOf("model 1"),
    bytes: 100_000_000,
  };
  /** Whether the whole status is lost before every reconcile. */
  losesStatus = false;
  /** Called at each write, before it is done. */
  onWrite: (action: Exclude<Action, { kind: "poll" }>) => void = () => {};
  /** A policy of the cluster: changes the spec of an object that is applied, before it is stored. */
  policy: Policy = () => {};
  /** What the operator's process remembers of its writes. */
  applied = new AppliedObjects();
  readonly objects = new StoredObjects();
  #image: SourceState<ImageSeen> = NOTHING;
  #model: SourceState<ModelSeen> = NOTHING;

  constructor(spec: SpecInput = {}) {
    this.app = aiapp(spec);
  }

  change(spec: SpecInput): void {
    const { app } = this;
    const generation = app.metadata.generation + 1;
    this.app = AIApp.parse({
      ...app,
      metadata: { ...app.metadata, generation },
      spec: { ...app.spec, ...spec },
    });
  }

  publish(change: Partial<World["published"]>): void {
    this.published = { ...this.published, ...change };
  }

  /** Looks at both sources until neither owes the other a look, as at an operator's start. */
  poll(...halves: readonly Half[]): this {
    for (const half of halves.length === 0 ? (["image", "model", "image"] as const) : halves) {
      const startedAt = this.now;
      this.now += 100;
      const { image: digest, tag, version, model, bytes } = this.published;
      if (half === "image") {
        const image = `example.azurecr.io/cats:${tag}`;
        const seen = { kind: "image", image, digest, lastPush: undefined } as const;
        this.#image = this.#seen(this.#image, seen, startedAt);
      } else
        this.#model = this.#seen(
          this.#model,
          { kind: "model", digest: model, version, etag: undefined, bytes },
          startedAt,
        );
      this.now += 1;
    }
    return this;
  }

  #seen<V extends Seen>(before: SourceState<V>, value: V, checkedAt: number): SourceState<V> {
    const changedAt = value.digest === before.value?.digest ? before.changedAt : this.now;
    return { ...NOTHING, value, changedAt, checkedAt };
  }

  /** The next polls of a source fail; what was seen stays. */
  fail(half: Half, code: ErrorCode, message: string): void {
    const error = { code, message, since: this.now };
    if (half === "image") this.#image = { ...this.#image, error };
    else this.#model = { ...this.#model, error };
  }

  /** The operator restarts: what the sources showed was in memory only. */
  forget(): void {
    this.#followed = undefined;
    this.#image = NOTHING;
    this.#model = NOTHING;
  }

  /** Every pod is of its Deployment's template, and is ready. */
  rollOut(...sets: readonly SetName[]): void {
    for (const set of sets.length === 0 ? (["stable", "candidate"] as const) : sets)
      this.#status(set, "all");
  }

  /** What pods of a canary and the stable ones count in each step; undefined when they have no metrics. */
  counts: Pick<Measurement, "stable" | "candidate"> = { stable: undefined, candidate: undefined };
  #followed: Pick<Measurement, "key" | "since"> | undefined;

  /** What an administrator has frozen. */
  freezes: readonly Freeze[] = [];
  /** What webhooks have taken, and which of them fail. */
  deliveries: DeliveryView = { isDelivered: () => true, failing: [] };
  /** Why no AIAppSourcePolicy allows what the app names. Its sources are not polled then. */
  refusal: string | undefined;
  /** What the API server answers to the pods of the verification Job, when it rejects them. */
  rejectedPods: string | undefined;

  /** What the verification of a release finds: `<Reason>: message`, or undefined when it passes. */
  judge: (release: ReleaseRecord) => string | undefined = () => undefined;

  /** The verification under way ends, if there is one. */
  verify(): this {
    const job = this.get(kinds.job, verificationName(this.app.metadata.name));
    const id = job?.metadata?.labels?.[labels.release];
    const record = this.records.find((one) => one.id === id);
    if (job === undefined || record === undefined) return this;
    const finding = this.judge(record);
    job.status = {
      conditions: [{ type: finding === undefined ? "Complete" : "Failed", status: "True" }],
    };
    const state = {
      terminated: { exitCode: finding === undefined ? 0 : 1, message: finding ?? "" },
    };
    // The pull container reports faults of the store.
    const name = finding?.startsWith("Storage") === true ? "model-pull" : "samples";
    const server = { name, image: "", imageID: "", ready: false, restartCount: 0 };
    this.pods = [
      ...this.pods.filter(({ metadata }) => metadata?.labels?.[labels.role] !== "verification"),
      {
        metadata: {
          name: "cats-verify-1",
          labels: { [labels.release]: record.id, [labels.role]: "verification" },
        },
        status: {
          phase: finding === undefined ? "Succeeded" : "Failed",
          containerStatuses: [{ ...server, state }],
        },
      },
    ];
    return this;
  }

  /** A pod of the release that a set runs fails for good. */
  crash(message = "Error: cannot serve", set: SetName = "stable"): this {
    const state = { terminated: { exitCode: 1, message } };
    const server = { name: "server", image: "", imageID: "", ready: false, restartCount: 3 };
    const release = this.releaseIn(set) ?? "";
    this.pods = [
      {
        metadata: {
          name: "cats-1",
          labels: { [labels.release]: release, [labels.role]: set },
        },
        status: { containerStatuses: [{ ...server, state }] },
      },
    ];
    return this;
  }

  annotate(name: string, value: string | undefined): this {
    const notes = { ...this.app.metadata.annotations };
    if (value === undefined) delete notes[name];
    else notes[name] = value;
    this.app = { ...this.app, metadata: { ...this.app.metadata, annotations: notes } };
    return this;
  }

  /** The record of a model version, or of what the test names. */
  record(match: (record: ReleaseRecord) => boolean): ReleaseRecord {
    const found = this.records.find(match);
    if (found === undefined) throw new Error("there is no such release");
    return found;
  }

  /** The Deployment controller has seen the Deployment, and no new pod serves yet. */
  beginRollout(set: SetName = "stable"): void {
    this.#status(set, "none");
  }

  #status(set: SetName, updated: "all" | "none"): void {
    const deployment = this.objects.get(keyOf(kinds.deployment, setName(this.app, set)));
    if (deployment === undefined) return;
    const replicas = Number(deployment.spec?.["replicas"]);
    const observedGeneration: unknown = Reflect.get(deployment.metadata ?? {}, "generation");
    deployment.status = {
      observedGeneration,
      replicas,
      updatedReplicas: updated === "all" ? replicas : 0,
      availableReplicas: replicas,
      readyReplicas: replicas,
    };
  }

  /** A person or an autoscaler sets the number of pods. */
  scale(replicas: number): void {
    const deployment = deploymentOf(this);
    deployment.spec.replicas = replicas;
    deployment.metadata.managedFields?.push({
      manager: "kubectl",
      fieldsV1: { "f:spec": { "f:replicas": {} } },
    });
  }

  /** An object of another owner takes a name that the app needs. */
  occupy(kind: Kind, ownerReferences?: V1OwnerReference[]): void {
    const metadata = {
      namespace: "shop",
      name: "cats",
      uid: "uid-of-theirs",
      ...(ownerReferences && { ownerReferences }),
    };
    this.objects.set(keyOf(kind, "cats"), { metadata });
  }

  get<T extends KubernetesObject>(kind: Kind<T>, name = this.app.metadata.name): T | undefined {
    // Filed under its kind.
    return this.objects.get(keyOf(kind, name)) as T | undefined;
  }

  get records(): readonly ReleaseRecord[] {
    return [...this.objects].flatMap(([key, object]) =>
      key.startsWith(kinds.controllerRevision.plural)
        ? (readRecord(object as Parameters<typeof readRecord>[0]) ?? [])
        : [],
    );
  }

  get deployedRelease(): string | undefined {
    return this.releaseIn("stable");
  }

  /** The release of a set's template. */
  releaseIn(set: SetName): string | undefined {
    const deployment = this.get(kinds.deployment, setName(this.app, set));
    return deployment?.spec?.template.metadata?.labels?.[labels.release];
  }

  /** The set that the Service sends requests to. */
  get selected(): string | undefined {
    return this.get(kinds.service)?.spec?.selector?.[labels.role];
  }

  #slot({ kind, nameOf }: OwnedObject): Slot<KubernetesObject> {
    const object = this.get(kind, nameOf(this.app.metadata.name));
    // A copy, as it comes from an API server: tests change the objects in place.
    return object === undefined
      ? { state: "absent" }
      : slotOf(this.app, kind, structuredClone(object));
  }

  observe(): Observed {
    const view = <V extends Seen>(key: Half, state: SourceState<V>): SourceView<V> => ({
      key,
      reference: key,
      ...state,
    });
    const { status: _, ...withoutStatus } = this.app;
    return {
      app: this.losesStatus ? withoutStatus : this.app,
      owned: Object.fromEntries(
        slotNames.map((name) => [name, this.#slot(ownedObjects[name] as OwnedObject)]),
      ) as OwnedSlots,
      records: this.records,
      pods: this.pods,
      rejectedPods: this.rejectedPods,
      recorded: this.#recorded(),
      measured: this.#followed && { ...this.#followed, until: this.now, ...this.counts },
      freezes: { all: this.freezes, labels: { team: "cats" } },
      deliveries: this.deliveries,
      isOutcome: (...object) => this.applied.isOutcome(APP, ...object),
      refusal: this.refusal,
      image: this.refusal === undefined ? view("image", this.#image) : this.#refused(),
      model: this.refusal === undefined ? view("model", this.#model) : this.#refused(),
    };
  }

  #refused(): SourceView<never> {
    const error = {
      code: "NOT_ALLOWED_BY_POLICY",
      message: this.refusal ?? "",
      since: this.now,
    } as const;
    return { ...NOTHING, key: undefined, reference: "reference", error };
  }

  /** Versions and image digests that are gone from their sources. */
  readonly gone = new Set<string>();
  /** What keepers report of images and models. */
  kept: { readonly image?: KeptSeen; readonly model?: KeptSeen } = {};
  /** The image that pulls models is not found: how much that says. */
  pullImage: { readonly isConclusive: boolean; readonly wasSeen: boolean } | undefined;

  #recorded(): Observed["recorded"] {
    const { stable, previous } = makeLedger(this.records);
    const view = <V extends Seen>(name: string, value: V, code: ErrorCode): SourceView<V> => ({
      ...NOTHING,
      key: name,
      reference: name,
      ...(this.gone.has(name)
        ? { error: { code, message: `${name} is not there`, since: this.now } }
        : { value }),
    });
    return [stable, previous].flatMap((record) => {
      if (record === undefined) return [];
      const { image, imageDigest, modelVersion, modelDigest } = record;
      const seenImage = { kind: "image", image, digest: imageDigest, lastPush: undefined } as const;
      const seenModel = {
        kind: "model",
        digest: modelDigest,
        version: modelVersion,
        etag: undefined,
        bytes: record.modelBytes ?? 0,
      } as const;
      return [
        {
          record,
          image: view<ImageSeen>(imageDigest, seenImage, "IMAGE_NOT_FOUND"),
          model: view<ModelSeen>(modelVersion, seenModel, "MODEL_NOT_FOUND"),
          puller: this.#puller(seenImage),
          kept: {
            image: { ...NOTHING, key: "keep image", reference: image, value: this.kept.image },
            model: { ...NOTHING, key: "keep model", reference: image, value: this.kept.model },
          },
        },
      ];
    });
  }

  #puller(value: ImageSeen): PullerView | undefined {
    const { image: reference } = this.puller;
    if (this.pullImage === undefined) return undefined;
    const { isConclusive, wasSeen } = this.pullImage;
    const error = {
      code: "IMAGE_NOT_FOUND",
      message: `${reference} is not there`,
      since: this.now,
    } as const;
    return {
      ...NOTHING,
      key: reference,
      reference,
      isConclusive,
      error,
      ...(wasSeen && { value }),
    };
  }

  plan(): Plan {
    return plan(this.observe(), this.puller, this.now);
  }

  /** Plans and acts; with a number given, the process ends after so many actions, before the status is written. */
  reconcile(endsAfter = Number.POSITIVE_INFINITY): Plan {
    const made = this.plan();
    for (const action of made.actions.slice(0, endsAfter)) this.act(action);
    if (made.actions.length <= endsAfter) {
      this.app = AIApp.parse(JSON.parse(JSON.stringify({ ...this.app, status: made.status })));
    }
    this.now += 1000;
    this.#measure(made);
    return made;
  }

  #measure({ measures }: Plan): void {
    if (measures?.key === this.#followed?.key) return;
    this.#followed = measures && { key: measures.key, since: this.now };
  }

  /** Reconciles until there is nothing left to do; rollouts go well. */
  converge(): this {
    for (let round = 0; round < 40; round += 1) {
      this.rollOut();
      this.verify();
      const { actions, measures } = this.reconcile();
      if (actions.length === 0 && measures === undefined) return this;
      if (measures !== undefined) this.now += 10_000;
    }
    throw new Error(`does not come to rest: ${describeActions(this.plan()).join(", ")}`);
  }

  /** Does what one action says. */
  act(action: Action): void {
    if (action.kind === "poll") {
      const state = action.key === "image" ? this.#image : this.#model;
      if ((state.checkedAt ?? -1) < action.since && state.error === undefined)
        this.poll(action.key as Half);
      return;
    }
    this.onWrite(action);
    const key = keyOf(action.resource, action.object.metadata?.name ?? "");
    switch (action.kind) {
      case "delete":
        this.objects.delete(key);
        break;
      case "create":
        this.objects.create(key, action.object);
        break;
      case "patch":
        this.objects.patch(key, action.patch);
        break;
      case "apply":
        this.objects.apply(key, action, this.policy);
        this.applied.keep(APP, action, this.objects.get(key));
        break;
    }
  }
}

/** When a release was fully rolled out last. */
export function releasedAtOf({ journal }: ReleaseRecord): string | undefined {
  return lastOf(journal, "Released")?.at;
}

/** Actions as one reads them: `apply Deployment`, `poll model`. */
export function describeActions({ actions }: Plan): readonly string[] {
  return actions.map((action) =>
    action.kind === "poll" ? `poll ${action.key}` : `${action.kind} ${action.resource.kind}`,
  );
}

/** Statuses and reasons by condition type: `Ready: "True Serving"`. */
export function conditionsOf({ status }: Plan): Readonly<Record<string, string>> {
  return Object.fromEntries(
    (status.conditions ?? []).map(({ type, status, reason }) => [type, `${status} ${reason}`]),
  );
}

/** The app's own Deployment, to read and to change; fails the test when there is none. */
export function deploymentOf(
  world: World,
): V1Deployment & Required<Pick<V1Deployment, "metadata" | "spec">> {
  const deployment = world.get(kinds.deployment, world.app.metadata.name);
  const { metadata, spec } = deployment ?? {};
  if (deployment === undefined || metadata === undefined || spec === undefined)
    throw new Error("there is no Deployment");
  return Object.assign(deployment, { metadata, spec });
}
