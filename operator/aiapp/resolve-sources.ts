import { LRUCache } from "lru-cache";

import type { AIApp } from "../../crds/aiapp/aiapp.ts";
import { isReference, parseReference, pinned } from "../../crds/grammar/image-reference.ts";
import { parseSelector } from "../../crds/grammar/selector.ts";
import { messageOf, OperatorError, withOperatorErrors, type ErrorCode } from "../errors.ts";
import { ANONYMOUS, type Identity } from "../sources/identity.ts";
import { imageKeeper } from "../sources/keep/image-keeper.ts";
import type { ModelCopies } from "../sources/keep/model-copies.ts";
import { modelKeeper } from "../sources/keep/model-keeper.ts";
import { createSweep } from "../sources/keep/sweep.ts";
import { modelSource } from "../sources/model/model-source.ts";
import type { ModelStore } from "../sources/model/model-store.ts";
import type { ImageRegistry } from "../sources/registry/image-registry.ts";
import { imageSource } from "../sources/registry/image-source.ts";
import { createIdentityReader, registryOf, type IdentityTools } from "./identity-reader.ts";
import type { PolicyView } from "./policy-view.ts";
import { createSlices } from "../slices.ts";
import type {
  ImageSeen,
  KeptSeen,
  ModelSeen,
  Seen,
  Source,
  SourceError,
} from "../sources/source.ts";

/** A source that an app names, or why the operator cannot read it. */
export type ResolvedSource<V extends Seen> =
  | { readonly source: Source<V>; readonly reference: string }
  | { readonly error: SourceError; readonly reference: string };

export interface SourceTools extends IdentityTools {
  readonly policies: PolicyView;
  readonly registry: ImageRegistry;
  readonly models: ModelStore;
  readonly copies: ModelCopies;
}

export interface SourceResolver {
  readonly image: (app: AIApp, signal: AbortSignal) => Promise<ResolvedSource<ImageSeen>>;
  readonly model: (app: AIApp, signal: AbortSignal) => Promise<ResolvedSource<ModelSeen>>;
  /** The image and the model of a recorded release, exactly as it was released. */
  readonly recorded: (
    app: AIApp,
    release: RecordedRelease,
    signal: AbortSignal,
  ) => Promise<RecordedSources>;
}

/** What a pod of a recorded release needs to start. */
export interface RecordedSources {
  readonly image: ResolvedSource<ImageSeen>;
  readonly model: ResolvedSource<ModelSeen>;
  /** The image of the container that pulls the model; undefined when its reference says no registry. */
  readonly puller:
    | (ResolvedSource<ImageSeen> & {
        /** It is read with an identity, not anonymously. */
        readonly isConclusive: boolean;
      })
    | undefined;
  /** Their copies; undefined with `release.keep: Never`. */
  readonly kept: RecordedKeepers | undefined;
}

interface RecordedKeepers {
  readonly image: ResolvedSource<KeptSeen>;
  readonly model: ResolvedSource<KeptSeen>;
}

export interface RecordedRelease {
  readonly image: string;
  readonly imageDigest: string;
  readonly modelVersion: string;
  readonly modelDigest: string;
  readonly model: { readonly store: string; readonly name: string };
  /** The image that pulls the model, as the pods name it. */
  readonly pullImage: string | undefined;
  /** Milliseconds since the epoch: all its pods pulled the model later than this. */
  readonly rolledOutAt: number;
}

const MAX_SOURCES = 2000;

/** Resolves `spec.image` and `spec.model` to sources, with the identity that reads each. */
export function createSourceResolver(tools: SourceTools): SourceResolver {
  const { policies } = tools;
  const identities = createIdentityReader(tools);
  /** A source holds the listing that it last found: each key must keep its one object. */
  const sources = new LRUCache<string, Source>({ max: MAX_SOURCES });
  /** One for all sources: their long lists take turns. */
  const slices = createSlices();

  async function resolve<V extends Seen>(
    reference: string,
    create: () => Promise<Source<V>>,
  ): Promise<ResolvedSource<V>> {
    try {
      const created = await create();
      // The key names the kind of the source, and with it the type of its results.
      const source = (sources.get(created.key) as Source<V> | undefined) ?? created;
      sources.set(source.key, source);
      return { source, reference };
    } catch (error) {
      return { reference, error: sourceError(error, tools.clock.now()) };
    }
  }

  const sweep = createSweep(tools);

  /** The operator's own image: nodes pull it with the app's login, if it is in the app's registry. */
  async function resolvePuller(
    app: AIApp,
    image: string,
    refusal: string | undefined,
    signal: AbortSignal,
  ): Promise<NonNullable<RecordedSources["puller"]>> {
    const isSameRegistry = parseReference(image).registry === registryOf(app.spec.image);
    let isConclusive = false;
    const resolved = await resolve(image, async () => {
      throwIf(refusal);
      const identity: Identity = isSameRegistry
        ? await identities.forRegistry(app, signal, image)
        : ANONYMOUS;
      isConclusive = identity.kind !== "anonymous";
      return imageSource(tools.registry, { image, policy: undefined }, identity);
    });
    return { ...resolved, isConclusive };
  }

  /** What keeps the image and the model of a release. */
  async function resolveKeepers(
    app: AIApp,
    { image, imageDigest: digest, model, modelVersion, modelDigest, rolledOutAt }: RecordedRelease,
    refusal: string | undefined,
    signal: AbortSignal,
  ): Promise<RecordedKeepers> {
    const [foundImage, foundModel] = await Promise.all([
      resolve(image, async () => {
        throwIf(refusal);
        const identity = await identities.forRegistry(app, signal, image);
        return imageKeeper(tools.registry, { ...parseReference(image), digest }, identity);
      }),
      resolve(`${model.store}/${model.name}/${modelVersion}`, async () => {
        throwIf(refusal);
        const need = {
          location: { store: model.store, name: model.name },
          version: modelVersion,
          digest: modelDigest,
          verifiedSince: rolledOutAt,
          claimant: app.metadata.uid,
        };
        return modelKeeper({ ...tools, sweep }, need, await identities.forStorage(app, signal));
      }),
    ]);
    return { image: foundImage, model: foundModel };
  }

  return {
    image: (app, signal) =>
      resolve(app.spec.image, async () => {
        const { image, imagePolicy: policy } = app.spec;
        throwIf(policies.refusal(app));
        const identity = await identities.forRegistry(app, signal);
        return imageSource(tools.registry, { image, policy }, identity, slices);
      }),
    model: (app, signal) => {
      const { model, modelVersion } = app.spec;
      return resolve(`${model.store}/${model.name}/${modelVersion}`, async () => {
        throwIf(policies.refusal(app));
        const selector = withOperatorErrors(() => parseSelector(modelVersion));
        const query = {
          location: { store: model.store, name: model.name },
          selector,
          order: model.order,
          requireManifest: model.requireManifest ?? selector.kind !== "exact",
        };
        const identity = await identities.forStorage(app, signal);
        return modelSource(tools.models, query, identity, slices);
      });
    },
    recorded: async (app, release, signal) => {
      const { image, imageDigest, model, modelVersion, pullImage } = release;
      const refusal = policies.refusal(app) ?? policies.refusalOfRelease(app, release);
      const pinnedImage = pinned(parseReference(image), imageDigest);
      const [foundImage, foundModel, puller, kept] = await Promise.all([
        resolve(pinnedImage, async () => {
          throwIf(refusal);
          const identity = await identities.forRegistry(app, signal, image);
          return imageSource(tools.registry, { image: pinnedImage, policy: undefined }, identity);
        }),
        resolve(`${model.store}/${model.name}/${modelVersion}`, async () => {
          throwIf(refusal);
          const selector = { kind: "exact", version: modelVersion } as const;
          const query = {
            location: model,
            selector,
            order: "Auto",
            requireManifest: false,
          } as const;
          return modelSource(tools.models, query, await identities.forStorage(app, signal));
        }),
        pullImage !== undefined && isReference(pullImage)
          ? resolvePuller(app, pullImage, refusal, signal)
          : undefined,
        app.spec.release?.keep === "Never"
          ? undefined
          : resolveKeepers(app, release, refusal, signal),
      ]);
      return { image: foundImage, model: foundModel, puller, kept };
    },
  };
}

/** Before anything is read that the source names: its Secret, its ServiceAccount, its host. @throws NOT_ALLOWED_BY_POLICY */
function throwIf(refusal: string | undefined): void {
  if (refusal !== undefined) throw new OperatorError("NOT_ALLOWED_BY_POLICY", refusal);
}

/** While the API server cannot be read, nothing is known about the source. */
const KUBE_OUTAGES: ReadonlySet<ErrorCode> = new Set([
  "KUBE_UNAVAILABLE",
  "KUBE_TIMEOUT",
  "KUBE_THROTTLED",
  "KUBE_UNEXPECTED_RESPONSE",
]);

/** @throws an error that says nothing about the source */
function sourceError(error: unknown, now: number): SourceError {
  if (!(error instanceof OperatorError) || KUBE_OUTAGES.has(error.code)) throw error;
  if (error.code === "KUBE_FORBIDDEN") {
    const message = `the operator lacks permission to read the credentials: list the namespace in the chart's tenantNamespaces, or them in its tenantCredentials (${messageOf(error)})`;
    return { code: "CREDENTIALS_MISSING", message, since: now };
  }
  return { code: error.code, message: messageOf(error), since: now };
}
