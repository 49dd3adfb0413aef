import { OperatorError } from "../errors.ts";
import type { Kind, KubernetesObject } from "./types.ts";

/** Where a resource lives on the API server: a collection, an object of it, or a subresource of that. */
export function pathOf(
  kind: Kind,
  namespace: string | undefined,
  name?: string,
  subresource?: string,
): string {
  const base = kind.apiVersion.includes("/")
    ? `/apis/${kind.apiVersion}`
    : `/api/${kind.apiVersion}`;
  return [
    base,
    ...(namespace === undefined ? [] : ["namespaces", encodeURIComponent(namespace)]),
    kind.plural,
    ...(name === undefined ? [] : [encodeURIComponent(name)]),
    ...(subresource === undefined ? [] : [subresource]),
  ].join("/");
}

export function pathOfObject(
  kind: Kind,
  { metadata }: KubernetesObject,
  subresource?: string,
): string {
  if (metadata?.name === undefined || metadata.name === "") {
    throw new OperatorError("KUBE_INVALID", `a ${kind.kind} to be written has no name`);
  }
  return pathOf(kind, metadata.namespace, metadata.name, subresource);
}

/** Items of a list and objects that the operator builds may lack their own type. */
export function typed<T extends KubernetesObject>(kind: Kind<T>, object: T): T {
  return { ...object, apiVersion: kind.apiVersion, kind: kind.kind };
}
