import type { AIApp } from "../../crds/aiapp.ts";
import { messageOf, OperatorError, type ErrorCode } from "../errors.ts";
import { kinds, type V1Secret, type V1ServiceAccount } from "../kube/types.ts";
import type { Kube } from "../kube/client.ts";
import type { Clock } from "../clock.ts";
import {
  registryIdentity,
  storageIdentity,
  type Identity,
  type SecretData,
} from "../sources/identity.ts";
import type { ImageRegistry } from "../sources/image.ts";
import { modelSource, type ModelStore } from "../sources/model.ts";
import { parseRepository } from "../sources/reference.ts";
import { imageSource } from "../sources/registry.ts";
import type { ImageSeen, ModelSeen, Seen, Source, SourceError } from "../sources/source.ts";
import { parseSelector } from "../sources/versions.ts";

/** A source that an app names, or why it cannot be requested. */
export type ResolvedSource<V extends Seen> =
  | { readonly source: Source<V>; readonly reference: string }
  | { readonly error: SourceError; readonly reference: string };

export interface SourceTools {
  readonly kube: Kube;
  readonly clock: Clock;
  readonly registry: ImageRegistry;
  readonly models: ModelStore;
  readonly tenantId: string;
}

/** Reads what identities need, each for a little while only: a rotated key counts soon. */
const KEEP_MS = 10_000;
const MAX_KEPT = 2000;

/** That the API server does not answer says nothing about a source. */
const noAnswer: ReadonlySet<ErrorCode> = new Set([
  "KUBE_UNAVAILABLE",
  "KUBE_TIMEOUT",
  "KUBE_THROTTLED",
  "KUBE_UNEXPECTED_RESPONSE",
]);

export function createSourceResolver(tools: SourceTools): {
  readonly image: (app: AIApp, signal: AbortSignal) => Promise<ResolvedSource<ImageSeen>>;
  readonly model: (app: AIApp, signal: AbortSignal) => Promise<ResolvedSource<ModelSeen>>;
} {
  const { kube, clock, registry, models } = tools;
  const kept = new Map<string, { readonly value: Promise<unknown>; readonly until: number }>();
  /** Sources hold what they saw of a folder at rest: one object a key. */
  const sources = new Map<string, Source>();

  async function keep<T>(key: string, read: () => Promise<T>): Promise<T> {
    const present = kept.get(key);
    // The key names the kind of value. The promise is kept, so that who asks meanwhile waits for the same answer.
    if (present !== undefined && present.until > clock.now()) return present.value as Promise<T>;
    const value = read();
    if (kept.size >= MAX_KEPT) kept.delete(kept.keys().next().value ?? "");
    kept.set(key, { value, until: clock.now() + KEEP_MS });
    value.catch(() => kept.delete(key));
    return value;
  }

  async function secret(app: AIApp, name: string, signal: AbortSignal): Promise<SecretData> {
    const { namespace } = app.metadata;
    const found = await keep<V1Secret | undefined>(`secret ${namespace}/${name}`, () =>
      kube.get(kinds.secret, namespace, name, signal),
    );
    if (found === undefined) {
      throw new OperatorError(
        "SECRET_NOT_FOUND",
        `Secret ${namespace}/${name}, which spec.credentials names, is not there: create it`,
      );
    }
    const data = Object.entries(found.data ?? {}).map(([key, value]) => [
      key,
      Buffer.from(value, "base64").toString("utf8"),
    ]);
    return { namespace, name, data: Object.fromEntries(data) };
  }

  async function workload(app: AIApp, signal: AbortSignal): Promise<Identity> {
    const { namespace } = app.metadata;
    const serviceAccount = app.spec.serviceAccountName ?? app.metadata.name;
    const found = await keep<V1ServiceAccount | undefined>(
      `serviceaccount ${namespace}/${serviceAccount}`,
      () => kube.get(kinds.serviceAccount, namespace, serviceAccount, signal),
    );
    const notes = found?.metadata?.annotations ?? {};
    const clientId = notes["azure.workload.identity/client-id"] ?? "";
    const tenantId = notes["azure.workload.identity/tenant-id"] ?? tools.tenantId;
    if (clientId === "" || tenantId === "") {
      throw new OperatorError(
        "CREDENTIALS_MISSING",
        `no identity to read with: annotate ServiceAccount ${namespace}/${serviceAccount} with azure.workload.identity/client-id and /tenant-id, name a Secret in spec.credentials, or allow anonymous reads in spec.credentials.anonymous`,
      );
    }
    return { kind: "workload", namespace, serviceAccount, clientId, tenantId };
  }

  async function name<V extends Seen>(
    reference: string,
    make: () => Promise<Source<V>>,
  ): Promise<ResolvedSource<V>> {
    try {
      const made = await make();
      const known = sources.get(made.key);
      if (known === undefined) {
        if (sources.size >= MAX_KEPT) sources.delete(sources.keys().next().value ?? "");
        sources.set(made.key, made);
        return { source: made, reference };
      }
      return { source: known as Source<V>, reference };
    } catch (error) {
      if (!(error instanceof OperatorError) || noAnswer.has(error.code)) throw error;
      const code = error.code === "KUBE_FORBIDDEN" ? "CREDENTIALS_MISSING" : error.code;
      const message =
        error.code === "KUBE_FORBIDDEN"
          ? `the operator may not read the credentials: list the namespace in the chart's tenantNamespaces (${messageOf(error)})`
          : messageOf(error);
      return { reference, error: { code, message, since: clock.now() } };
    }
  }

  return {
    image: (app, signal) =>
      name(app.spec.image, async () => {
        const { image, imagePolicy: policy } = app.spec;
        const { registry: host } = parseRepository(image);
        const { registry: login, anonymous = [] } = app.spec.credentials ?? {};
        const identity: Identity =
          login !== undefined
            ? registryIdentity(await secret(app, login, signal), host)
            : anonymous.includes("Registry")
              ? { kind: "anonymous" }
              : await workload(app, signal);
        return imageSource(registry, { image, policy }, identity);
      }),
    model: (app, signal) => {
      const { model, modelVersion, credentials } = app.spec;
      return name(`${model.store}/${model.name}/${modelVersion}`, async () => {
        const selector = parseSelector(modelVersion);
        const { storage, anonymous = [] } = credentials ?? {};
        const identity: Identity =
          storage !== undefined
            ? storageIdentity(await secret(app, storage, signal))
            : anonymous.includes("Storage")
              ? { kind: "anonymous" }
              : await workload(app, signal);
        const query = {
          location: { store: model.store, name: model.name },
          selector,
          order: model.order,
          requireManifest: model.requireManifest ?? selector.kind !== "exact",
        };
        return modelSource(models, query, identity);
      });
    },
  };
}
