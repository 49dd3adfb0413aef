import { createHash } from "node:crypto";

import type { z } from "zod";

import { Port } from "../../../crds/aiapp/fields.ts";
import { defaultPorts } from "../../../crds/aiapp/ports.ts";
import { Model } from "../../../crds/aiapp/sources.ts";
import { AIAppSpec } from "../../../crds/aiapp/spec.ts";
import { canonical, hashOf } from "../canonical.ts";

/** A code image and a model version that were seen together. */
export interface Pair {
  /** As the spec names it, or with the tag that it chooses: what people call it now. */
  readonly image: string;
  readonly imageDigest: string;
  readonly modelVersion: string;
  readonly modelDigest: string;
  /** Of all files of the version; undefined in a record of an operator that did not keep it. */
  readonly modelBytes?: number | undefined;
}

/**
 * What the spec says about the pods of a release, and nothing that the operator adds to it: a new version of the
 * operator with other probes or defaults must not make a new release. Unknown keys are kept: a newer operator wrote them.
 */
export const ReleaseInputs = AIAppSpec.pick({
  env: true,
  resources: true,
  podTemplate: true,
  server: true,
  serviceAccountName: true,
  imagePullSecrets: true,
  nodeSelector: true,
  tolerations: true,
  credentials: true,
})
  .extend({
    files: Model.shape.files,
    /** Where the server listens for gRPC; undefined where the Service has no port for it. */
    grpcPort: Port.optional(),
  })
  .loose();
export type ReleaseInputs = Readonly<z.infer<typeof ReleaseInputs>>;

/** Where a model's versions are. */
export interface ModelLocation {
  /** The container's URL. */
  readonly store: string;
  readonly name: string;
}

/** The unit of rollout, rollback and history: a pair, and what the spec says about its pods. */
export interface Release extends Pair {
  /** 10 hexadecimal characters. */
  readonly id: string;
  readonly model: ModelLocation;
  readonly inputs: ReleaseInputs;
}

/** What a spec asks for, hashed once for each version of the spec: every reconcile needs it. */
interface SpecIdentity {
  readonly inputs: ReleaseInputs;
  readonly inputsHash: string;
  readonly request: string;
}
const known = new WeakMap<AIAppSpec, SpecIdentity>();

function identify(spec: AIAppSpec): SpecIdentity {
  const present = known.get(spec);
  if (present !== undefined) return present;
  const inputs = inputsOf(spec);
  const { image, imagePolicy, modelVersion, model } = spec;
  const request = hashOf({ image, imagePolicy, modelVersion: String(modelVersion), model, inputs });
  const made = { inputs, inputsHash: hashOf(inputs), request: request.slice(0, 16) };
  known.set(spec, made);
  return made;
}

/**
 * Stands for all that a spec says about which release it wants: equal requests ask for the same, whatever the sources
 * show meanwhile. Distinguishes a change of the spec from a change that polling found.
 */
export function requestOf(spec: AIAppSpec): string {
  return identify(spec).request;
}

/** The release that a spec makes of a pair; the model may be at another place than the spec says now. */
export function releaseOf(
  spec: AIAppSpec,
  pair: Pair,
  { store, name }: ModelLocation = spec.model,
): Release {
  const { inputs, inputsHash } = identify(spec);
  const { image, imageDigest, modelVersion, modelDigest, modelBytes } = pair;
  const model = { store, name };
  const id = releaseId(pair, model, inputsHash);
  return { id, image, imageDigest, modelVersion, modelDigest, modelBytes, model, inputs };
}

/**
 * First 10 hex characters of the SHA-256 over both digests, the version that the pods report, the model's location and
 * the spec's inputs in canonical form. Tags are no part of it.
 */
function releaseId(pair: Pair, { store, name }: ModelLocation, inputsHash: string): string {
  const parts = [pair.imageDigest, pair.modelDigest, store, name, pair.modelVersion, inputsHash];
  return createHash("sha256").update(canonical(parts)).digest("hex").slice(0, 10);
}

function inputsOf(spec: AIAppSpec): ReleaseInputs {
  const { env, resources, podTemplate, server, serviceAccountName, model } = spec;
  const { imagePullSecrets, nodeSelector, tolerations } = spec;
  const { storage, registry, anonymous } = spec.credentials ?? {};
  // Whether the registry is polled anonymously says nothing about the pods.
  const credentials = {
    storage,
    registry,
    anonymous: anonymous?.filter((source) => source === "Storage"),
  };
  return withoutEmpty({
    env,
    resources: resources && {
      requests: asText(resources.requests),
      limits: asText(resources.limits),
    },
    podTemplate,
    // Where samples are posted says nothing about the pods; grpcPort is an input of its own.
    server: server && { ...server, scorePath: undefined, grpcPort: undefined },
    serviceAccountName,
    imagePullSecrets,
    nodeSelector,
    tolerations,
    credentials,
    files: model.files,
    grpcPort: grpcPortOf(spec),
  });
}

/** Whether the Service has a port for gRPC concerns the pods, which listen only then; its number does not. */
function grpcPortOf({ service, server }: AIAppSpec): number | undefined {
  return service?.grpcPort === undefined ? undefined : (server?.grpcPort ?? defaultPorts.grpc);
}

/** `cpu: 2` and `cpu: "2"` are the same quantity. */
function asText(
  quantities: Readonly<Record<string, string | number>> | undefined,
): Record<string, string> | undefined {
  return (
    quantities &&
    Object.fromEntries(Object.entries(quantities).map(([name, value]) => [name, String(value)]))
  );
}

/** Null counts: in podTemplate it removes what the operator would add. So does an empty element of a list. */
function isEmpty(value: unknown): boolean {
  if (value === undefined) return true;
  if (Array.isArray(value)) return value.length === 0;
  return typeof value === "object" && value !== null && Object.values(value).every(isEmpty);
}

/** An empty list or object says what a missing one does. */
function withoutEmpty(inputs: Readonly<Record<keyof ReleaseInputs, unknown>>): ReleaseInputs {
  const present = Object.entries(inputs).filter(([, value]) => !isEmpty(value));
  // Members are taken from the spec as they were parsed; JSON drops the undefined ones inside them.
  return JSON.parse(JSON.stringify(Object.fromEntries(present))) as ReleaseInputs;
}
