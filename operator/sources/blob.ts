import type { TokenCredential } from "@azure/core-auth";
import {
  AnonymousCredential,
  ContainerClient,
  newPipeline,
  RestError,
  StorageSharedKeyCredential,
} from "@azure/storage-blob";

import { MANIFEST, MAX_MANIFEST_BYTES } from "../../crds/bundle.ts";
import { readBounded } from "../body.ts";
import { OperatorError } from "../errors.ts";
import { guardedHttpClient } from "./azure-http.ts";
import type { Agents, HostPolicy } from "./hosts.ts";
import { identityKey, type Identity } from "./identity.ts";
import type { ModelLocation, ModelStore, StoredFile } from "./model.ts";
import { NoTokenError, type TokenCredentials } from "./workload.ts";

/** Azure Blob Storage through its own client. */

export interface BlobOptions {
  /** Hosts that end so are Azure's: only to them may an Azure token go. */
  readonly azureSuffixes: readonly string[];
  readonly policy: HostPolicy;
  readonly agents: Agents;
  readonly credentials: TokenCredentials;
}

/** A way to open a container as somebody. */
export type OpenContainer = (store: string, identity: Identity) => ContainerClient;

const MAX_CLIENTS = 500;
const MAX_VERSIONS = 10_000;
const MAX_FILES = 10_000;

export function createContainers({
  azureSuffixes,
  policy,
  agents,
  credentials,
}: BlobOptions): OpenContainer {
  const httpClient = guardedHttpClient(agents);
  const clients = new Map<string, ContainerClient>();

  function open(store: string, identity: Identity): ContainerClient {
    const url = new URL(store);
    if (url.protocol !== "https:" && !policy.insecureHosts.has(url.host)) {
      throw new OperatorError(
        "HOST_NOT_ALLOWED",
        `${url.host} would be read over plain http: use https, or list it in the operator's insecureHosts`,
      );
    }
    const [address, credential] = credentialOf(store, url, identity);
    const pipeline = newPipeline(credential, {
      retryOptions: { maxTries: 1 },
      keepAliveOptions: { enable: true },
    });
    // The option `httpClient` takes clients of an older core only; this is where the SDK keeps today's. A contract test
    // would tell if it moved: loopback would no longer be refused.
    Reflect.set(pipeline, "_coreHttpClient", httpClient);
    return new ContainerClient(address, pipeline);
  }

  function credentialOf(
    store: string,
    url: URL,
    identity: Identity,
  ): [string, StorageSharedKeyCredential | AnonymousCredential | TokenCredential] {
    switch (identity.kind) {
      case "anonymous":
        return [store, new AnonymousCredential()];
      case "accountKey":
        return [store, new StorageSharedKeyCredential(identity.accountName, identity.accountKey)];
      case "sas":
        return [`${store}?${identity.sasToken}`, new AnonymousCredential()];
      case "workload":
        if (!azureSuffixes.some((suffix) => url.hostname.endsWith(suffix))) {
          throw new OperatorError(
            "CREDENTIALS_MISSING",
            `${url.host} is not one of Azure's hosts (${azureSuffixes.join(", ")}), so no Azure token goes there: name a Secret in spec.credentials.storage`,
          );
        }
        return [store, credentials.of(identity)];
      case "basic":
        throw new OperatorError("SECRET_INVALID", "a registry login does not open a store");
    }
  }

  return (store, identity) => {
    const key = `${store} ${identityKey(identity)}`;
    const present = clients.get(key);
    if (present !== undefined) return present;
    const client = open(store, identity);
    if (clients.size >= MAX_CLIENTS) clients.delete(clients.keys().next().value ?? "");
    clients.set(key, client);
    return client;
  };
}

function isStatus(error: unknown, status: number): boolean {
  return error instanceof RestError && error.statusCode === status;
}

/** What Blob Storage's answer means for whoever reads the condition. Never holds a URL's query: it may be a SAS token. */
export function storageError(error: unknown, where: string): OperatorError {
  if (error instanceof OperatorError) return error;
  if (!(error instanceof RestError)) {
    if (error instanceof NoTokenError) {
      return new OperatorError(
        error.refused ? "STORAGE_AUTH_FAILED" : "STORAGE_UNAVAILABLE",
        error.explain(where),
        { cause: error },
      );
    }
    const inner =
      error instanceof Error && error.cause instanceof OperatorError ? error.cause : undefined;
    return (
      inner ??
      new OperatorError(
        "STORAGE_UNAVAILABLE",
        `${where} cannot be read: ${error instanceof Error ? error.message : String(error)}`,
        { cause: error },
      )
    );
  }
  const { statusCode: status, code = "" } = error;
  const seconds = Number(error.response?.headers.get("retry-after"));
  const retryAfterMs = seconds > 0 ? Math.min(seconds, 3600) * 1000 : undefined;
  if (status === 401 || status === 403 || code === "PublicAccessNotPermitted") {
    return new OperatorError(
      "STORAGE_AUTH_FAILED",
      `the store refuses the identity for ${where} (${status} ${code}): check the key or SAS token in the Secret, or the role Storage Blob Data Reader`,
    );
  }
  if (status === 404) {
    return new OperatorError(
      "MODEL_NOT_FOUND",
      `${where} is not there (${code}): check spec.model.store and spec.model.name`,
    );
  }
  if (status === 412) {
    return new OperatorError(
      "MODEL_CHECKSUM_MISMATCH",
      `${where} was replaced while it was pulled: publish a new version instead`,
    );
  }
  if (status === 429 || (status === 503 && /busy|throttl/i.test(code))) {
    return new OperatorError(
      "STORAGE_THROTTLED",
      `the store asks to slow down for ${where}: polls wait; nothing is to be done unless it lasts`,
      { retryAfterMs: retryAfterMs ?? 10_000 },
    );
  }
  if (status === undefined || status >= 500) {
    const inner = error.cause instanceof OperatorError ? error.cause : undefined;
    const detail = status === undefined ? error.message.replace(/\?\S*/g, "") : `${status} ${code}`;
    return (
      inner ??
      new OperatorError(
        "STORAGE_UNAVAILABLE",
        `${where} cannot be read (${detail}): it is tried again`,
        { retryAfterMs },
      )
    );
  }
  return new OperatorError(
    "STORAGE_UNEXPECTED_RESPONSE",
    `the store answered ${status} ${code} for ${where}`,
  );
}

export function createBlobStore(open: OpenContainer): ModelStore {
  function folderOf({ store, name }: ModelLocation, version: string): string {
    return `${store}/${name}/${version}/`;
  }

  return {
    listVersions: async (model, identity, signal) => {
      const prefix = `${model.name}/`;
      const where = `${model.store}/${prefix}`;
      const versions: string[] = [];
      try {
        const container = open(model.store, identity);
        for await (const item of container.listBlobsByHierarchy("/", {
          prefix,
          abortSignal: signal,
        })) {
          if (item.kind !== "prefix") continue;
          versions.push(item.name.slice(prefix.length, -1));
          if (versions.length > MAX_VERSIONS) {
            throw new OperatorError(
              "STORAGE_UNEXPECTED_RESPONSE",
              `${where} holds more than ${MAX_VERSIONS} versions: name one, or move old ones away`,
            );
          }
        }
      } catch (error) {
        throw storageError(error, where);
      }
      return versions;
    },

    readManifest: async (model, version, etag, identity, signal) => {
      const where = `${folderOf(model, version)}${MANIFEST}`;
      try {
        const blob = open(model.store, identity).getBlobClient(
          `${model.name}/${version}/${MANIFEST}`,
        );
        const answer = await blob.download(0, undefined, {
          abortSignal: signal,
          maxRetryRequests: 0,
          ...(etag !== undefined && { conditions: { ifNoneMatch: etag } }),
        });
        if (answer.readableStreamBody === undefined || answer.etag === undefined) {
          throw new OperatorError(
            "STORAGE_UNEXPECTED_RESPONSE",
            `${where} came without a body or an ETag`,
          );
        }
        const { bytes, whole } = await readBounded(answer.readableStreamBody, MAX_MANIFEST_BYTES);
        if (!whole) {
          throw new OperatorError(
            "MANIFEST_INVALID",
            `${where} is larger than ${MAX_MANIFEST_BYTES} bytes`,
          );
        }
        return { etag: answer.etag, bytes };
      } catch (error) {
        if (isStatus(error, 304)) return "unchanged";
        if (error instanceof RestError && error.code === "BlobNotFound") return undefined;
        throw storageError(error, where);
      }
    },

    listFiles: async (model, version, identity, signal) => {
      const prefix = `${model.name}/${version}/`;
      const where = folderOf(model, version);
      const files: StoredFile[] = [];
      try {
        const container = open(model.store, identity);
        const options = { prefix, abortSignal: signal, includeUncommitedBlobs: true };
        for await (const { name, properties } of container.listBlobsFlat(options)) {
          const size = properties.contentLength ?? 0;
          // Folders of hierarchical accounts are listed as empty blobs.
          if (name.endsWith("/")) continue;
          files.push({
            path: name.slice(prefix.length),
            size,
            etag: properties.etag,
            // Blob Storage gives no ETag to a blob of which no block was committed.
            committed: Boolean(properties.etag),
          });
          if (files.length > MAX_FILES) {
            throw new OperatorError(
              "STORAGE_UNEXPECTED_RESPONSE",
              `${where} holds more than ${MAX_FILES} files`,
            );
          }
        }
      } catch (error) {
        throw storageError(error, where);
      }
      return files;
    },
  };
}
