import { isOperatorError, OperatorError } from "../errors.ts";
import type { ApplyOptions, DeleteTarget, PatchOptions } from "./client.ts";
import { pathOf, pathOfObject, typed } from "./path.ts";
import type { Transport } from "./transport.ts";
import { kinds, type Kind, type KubernetesObject } from "./types.ts";

const TOKEN_SECONDS = 3600;

export async function applyObject<T extends KubernetesObject>(
  transport: Transport,
  kind: Kind<T>,
  object: T,
  { fieldManager, force, subresource }: ApplyOptions,
  signal: AbortSignal,
): Promise<T> {
  const path = pathOfObject(kind, object, subresource);
  const query = { fieldManager, force: String(force), fieldValidation: "Strict" };
  const body = { type: "application/apply-patch+yaml", value: typed(kind, object) };
  return transport.json({ method: "PATCH", path, query, body }, signal);
}

export async function createObject<T extends KubernetesObject>(
  transport: Transport,
  kind: Kind<T>,
  object: T,
  signal: AbortSignal,
): Promise<T> {
  const path = pathOf(kind, object.metadata?.namespace);
  const body = { type: "application/json", value: typed(kind, object) };
  return transport.json({ method: "POST", path, body }, signal);
}

export async function patchObject<T extends KubernetesObject>(
  transport: Transport,
  path: string,
  patch: unknown,
  { fieldManager }: PatchOptions,
  signal: AbortSignal,
): Promise<T> {
  const body = { type: "application/merge-patch+json", value: patch };
  return transport.json({ method: "PATCH", path, query: { fieldManager }, body }, signal);
}

export async function replaceObject<T extends KubernetesObject>(
  transport: Transport,
  kind: Kind<T>,
  object: T,
  subresource: "status" | undefined,
  signal: AbortSignal,
): Promise<T> {
  const path = pathOfObject(kind, object, subresource);
  const body = { type: "application/json", value: typed(kind, object) };
  return transport.json({ method: "PUT", path, body }, signal);
}

export async function deleteObject(
  transport: Transport,
  kind: Kind,
  { namespace, name, uid, resourceVersion, propagationPolicy = "Background" }: DeleteTarget,
  signal: AbortSignal,
): Promise<void> {
  const value = {
    apiVersion: "v1",
    kind: "DeleteOptions",
    propagationPolicy,
    preconditions: { uid, resourceVersion },
  };
  const body = { type: "application/json", value };
  try {
    await transport.json({ method: "DELETE", path: pathOf(kind, namespace, name), body }, signal);
  } catch (error) {
    if (!isOperatorError(error, "KUBE_NOT_FOUND")) throw error;
  }
}

export async function requestToken(
  transport: Transport,
  namespace: string,
  serviceAccount: string,
  audience: string,
  signal: AbortSignal,
): Promise<string> {
  const path = pathOf(kinds.serviceAccount, namespace, serviceAccount, "token");
  const value = {
    apiVersion: "authentication.k8s.io/v1",
    kind: "TokenRequest",
    spec: { audiences: [audience], expirationSeconds: TOKEN_SECONDS },
  };
  const body = { type: "application/json", value };
  const response = await transport.json<{ readonly status?: { readonly token?: string } }>(
    { method: "POST", path, body },
    signal,
  );
  const token = response.status?.token;
  if (token === undefined) {
    throw new OperatorError(
      "KUBE_UNEXPECTED_RESPONSE",
      `the API server returned no token for ServiceAccount ${namespace}/${serviceAccount}`,
    );
  }
  return token;
}
