import { createHash } from "node:crypto";

import { z } from "zod";

import { isHost } from "../../crds/grammar/host.ts";
import { OperatorError } from "../errors.ts";

/** The credentials that a source is read with. Holds secrets: never log it, never put it in a message. */
export type Identity =
  | { readonly kind: "anonymous" }
  | {
      readonly kind: "workload";
      readonly namespace: string;
      readonly serviceAccount: string;
      readonly clientId: string;
      readonly tenantId: string;
    }
  | {
      readonly kind: "accountKey";
      readonly accountName: string;
      readonly accountKey: string;
      /** The host, with its port, that the Secret names: the key goes there, or to the account's own host. */
      readonly endpoint?: string;
    }
  | { readonly kind: "sas"; readonly sasToken: string; readonly endpoint?: string }
  | { readonly kind: "basic"; readonly username: string; readonly password: string };

/** A hash of 256 bits: distinguishes identities without revealing them, and no tenant can find two with the same. */
export function identityKey(identity: Identity): string {
  let key = keys.get(identity);
  if (key === undefined) {
    key = createHash("sha256").update(JSON.stringify(identity)).digest("hex");
    keys.set(identity, key);
  }
  return key;
}

/** Every source of every reconcile needs one, and nearly always that of an identity that it had before. */
const keys = new WeakMap<Identity, string>();

/** One object, so that its key is computed once. */
export const ANONYMOUS: Identity = { kind: "anonymous" };

export interface SecretData {
  readonly namespace: string;
  readonly name: string;
  /** Decoded values by key. */
  readonly data: Readonly<Record<string, string>>;
}

/** Reads a storage Secret. @throws SECRET_INVALID naming the Secret and the keys that it lacks */
export function storageIdentity({ namespace, name, data }: SecretData): Identity {
  const where = `Secret ${namespace}/${name}`;
  const { accountName, accountKey, sasToken } = data;
  const endpoint = endpointOf(data["endpoint"], where);
  if (sasToken) return { kind: "sas", sasToken: cleanSas(sasToken), ...endpoint };
  if (accountName && accountKey) {
    if (!/^[A-Za-z0-9+/]+=*$/.test(accountKey.trim())) {
      throw new OperatorError(
        "SECRET_INVALID",
        `${where}: accountKey is not base64: copy the key from the storage account's access keys`,
      );
    }
    return {
      kind: "accountKey",
      accountName: accountName.trim(),
      accountKey: accountKey.trim(),
      ...endpoint,
    };
  }
  throw new OperatorError(
    "SECRET_INVALID",
    `${where} lacks ${missingKeys(data)}: add it, and check its spelling`,
  );
}

/** A host, or a URL whose host counts. */
function endpointOf(text: string | undefined, where: string): { readonly endpoint?: string } {
  if (text === undefined) return {};
  const host = text
    .trim()
    .replace(/^https?:\/\//, "")
    .replace(/\/.*$/, "")
    .toLowerCase();
  if (isHost(host)) return { endpoint: host };
  throw new OperatorError(
    "SECRET_INVALID",
    `${where}: endpoint is no host: write one such as contoso.blob.core.windows.net`,
  );
}

/** With or without a question mark. A `+` is part of a signature that was not encoded: a server would read a space. */
function cleanSas(token: string): string {
  return token.trim().replace(/^\?/, "").replaceAll("+", "%2B");
}

function missingKeys({ accountName, accountKey }: SecretData["data"]): string {
  if (accountName) return "the key accountKey";
  if (accountKey) return "the key accountName";
  return "the keys accountName and accountKey, or the key sasToken";
}

/** Keys of `auths` are hosts or URLs; `docker login` writes https://index.docker.io/v1/ for Docker Hub. */
function hostOf(registry: string): string {
  const host = registry.replace(/^https?:\/\//, "").replace(/\/.*$/, "");
  return host === "index.docker.io" ? "docker.io" : host;
}

const DockerConfig = z.object({
  auths: z.record(
    z.string(),
    z.object({
      username: z.string().optional(),
      password: z.string().optional(),
      auth: z.string().optional(),
    }),
  ),
});

/** The login of `host` in a Secret of type kubernetes.io/dockerconfigjson. */
export function registryIdentity({ namespace, name, data }: SecretData, host: string): Identity {
  const where = `Secret ${namespace}/${name}`;
  const text = data[".dockerconfigjson"];
  if (text === undefined) {
    throw new OperatorError(
      "SECRET_INVALID",
      `${where} lacks the key .dockerconfigjson: create it with kubectl create secret docker-registry`,
    );
  }
  const parsed = DockerConfig.safeParse(jsonOrUndefined(text));
  if (!parsed.success) {
    throw new OperatorError(
      "SECRET_INVALID",
      `${where}: .dockerconfigjson is not a Docker config file: create it with kubectl create secret docker-registry`,
    );
  }
  const entry = Object.entries(parsed.data.auths).find(
    ([registry]) => hostOf(registry) === host,
  )?.[1];
  if (entry === undefined) {
    throw new OperatorError(
      "SECRET_INVALID",
      `${where} has no login for ${host}: add one with kubectl create secret docker-registry --docker-server ${host}`,
    );
  }
  if (entry.username !== undefined && entry.password !== undefined) {
    return { kind: "basic", username: entry.username, password: entry.password };
  }
  const decoded = Buffer.from(entry.auth ?? "", "base64").toString("utf8");
  const colon = decoded.indexOf(":");
  if (colon <= 0) {
    throw new OperatorError(
      "SECRET_INVALID",
      `${where}: the login for ${host} lacks a user name or a password: create it again`,
    );
  }
  return { kind: "basic", username: decoded.slice(0, colon), password: decoded.slice(colon + 1) };
}

function jsonOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
