import { LRUCache } from "lru-cache";

import type { AIApp } from "../../crds/aiapp/aiapp.ts";
import { parseRepository } from "../../crds/grammar/image-reference.ts";
import type { Clock } from "../clock.ts";
import { OperatorError, withOperatorErrors } from "../errors.ts";
import type { Kube } from "../kube/client.ts";
import { kinds, type V1ServiceAccount } from "../kube/types.ts";
import {
  ANONYMOUS,
  registryIdentity,
  storageIdentity,
  type Identity,
  type SecretData,
} from "../sources/identity.ts";
import type { NamedSecrets } from "./named-secrets.ts";

export interface IdentityTools {
  readonly kube: Pick<Kube, "get">;
  readonly secrets: Pick<NamedSecrets, "read">;
  readonly clock: Clock;
  /** The tenant of ServiceAccounts that name none. */
  readonly tenantId: string;
}

export interface IdentityReader {
  readonly forRegistry: (app: AIApp, signal: AbortSignal, image?: string) => Promise<Identity>;
  readonly forStorage: (app: AIApp, signal: AbortSignal) => Promise<Identity>;
}

/** Reads the Secrets and ServiceAccounts that identities come from: those that the AIApp names, in its namespace. */
export function createIdentityReader({
  kube,
  secrets,
  clock,
  tenantId,
}: IdentityTools): IdentityReader {
  const readAccount = createAccountCache(clock);
  const identities = new WeakMap<SecretData, Identity>();

  async function readSecret(app: AIApp, name: string, signal: AbortSignal): Promise<SecretData> {
    const { namespace } = app.metadata;
    const secret = await secrets.read(namespace, name, signal);
    if (secret === undefined) {
      throw new OperatorError(
        "SECRET_NOT_FOUND",
        `Secret ${namespace}/${name}, which spec.credentials names, does not exist: create it`,
      );
    }
    return secret;
  }

  /** All sources of one store share the identity, until the Secret has other data. */
  function storageIdentityOf(secret: SecretData): Identity {
    const identity = identities.get(secret) ?? storageIdentity(secret);
    identities.set(secret, identity);
    return identity;
  }

  async function readServiceAccount(app: AIApp, signal: AbortSignal): Promise<Identity> {
    const { namespace } = app.metadata;
    const name = app.spec.serviceAccountName ?? app.metadata.name;
    const account = await readAccount(`${namespace}/${name}`, () =>
      kube.get(kinds.serviceAccount, namespace, name, signal),
    );
    return workloadIdentity(namespace, name, account?.metadata?.annotations ?? {}, tenantId);
  }

  return {
    forRegistry: async (app, signal, image = app.spec.image) => {
      const { registry, anonymous } = app.spec.credentials ?? {};
      const host = registryOf(image);
      if (registry !== undefined)
        return registryIdentity(await readSecret(app, registry, signal), host);
      if (anonymous?.includes("Registry")) return ANONYMOUS;
      return readServiceAccount(app, signal);
    },
    forStorage: async (app, signal) => {
      const { storage, anonymous } = app.spec.credentials ?? {};
      if (storage !== undefined) return storageIdentityOf(await readSecret(app, storage, signal));
      if (anonymous?.includes("Storage")) return ANONYMOUS;
      return readServiceAccount(app, signal);
    },
  };
}

export function registryOf(image: string): string {
  return withOperatorErrors(() => parseRepository(image)).registry;
}

/** @throws CREDENTIALS_MISSING naming the annotations that are missing */
function workloadIdentity(
  namespace: string,
  serviceAccount: string,
  annotations: Readonly<Record<string, string>>,
  defaultTenantId: string,
): Identity {
  const clientId = annotations["azure.workload.identity/client-id"] ?? "";
  const tenantId = annotations["azure.workload.identity/tenant-id"] ?? defaultTenantId;
  if (clientId !== "" && tenantId !== "") {
    return { kind: "workload", namespace, serviceAccount, clientId, tenantId };
  }
  const missing = [
    ...(clientId === "" ? ["azure.workload.identity/client-id"] : []),
    ...(tenantId === "" ? ["azure.workload.identity/tenant-id"] : []),
  ].join(" and ");
  throw new OperatorError(
    "CREDENTIALS_MISSING",
    `no identity to read with: annotate ServiceAccount ${namespace}/${serviceAccount} with ${missing}, name a Secret in spec.credentials, or allow anonymous reads in spec.credentials.anonymous`,
  );
}

/** How long a ServiceAccount is not read again: short, so that a changed annotation takes effect soon. */
const CACHE_MS = 10_000;
const MAX_CACHED = 2000;

type ReadAccount = () => Promise<V1ServiceAccount | undefined>;

/** Caches reads by key, and shares a read in flight. A read that fails is not cached. */
function createAccountCache(
  clock: Clock,
): (key: string, read: ReadAccount) => ReturnType<ReadAccount> {
  const cache = new LRUCache<string, ReturnType<ReadAccount>>({
    max: MAX_CACHED,
    ttl: CACHE_MS,
    ttlResolution: 0,
    perf: { now: clock.now },
  });
  return (key, read) => {
    const cached = cache.get(key);
    if (cached !== undefined) return cached;
    const value = read();
    cache.set(key, value);
    value.catch(() => {
      if (cache.peek(key) === value) cache.delete(key);
    });
    return value;
  };
}
