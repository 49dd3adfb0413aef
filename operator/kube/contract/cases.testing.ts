import { expect } from "vitest";

import { API_VERSION, KIND, PLURAL } from "../../../crds/names.ts";
import { OperatorError, type ErrorCode } from "../../errors.ts";
import type { ApplyOptions, Kube } from "../client.ts";
import type { Kind, KubernetesObject, V1Deployment } from "../types.ts";

/** A Kubernetes API to try, in which the namespaces `one` and `two` exist. */
export interface OpenKube {
  readonly kube: Kube;
  /** Makes the server forget the changes until now. */
  readonly forget: () => Promise<void>;
  readonly close: () => Promise<void>;
}

/** Objects as they go over the wire: the suite writes fields that the client's types do not know, too. */
export type Fields = Readonly<Record<string, unknown>>;

export interface AIAppObject extends KubernetesObject {
  readonly spec?: Fields;
  readonly status?: Fields;
}

export const namespace = "one";
export const otherNamespace = "two";
export const signal = AbortSignal.timeout(300_000);
export const aiapp: Kind<AIAppObject> = { apiVersion: API_VERSION, kind: KIND, plural: PLURAL };
export const ours: ApplyOptions = { fieldManager: "ours", force: false };
export const forced: ApplyOptions = { fieldManager: "ours", force: true };
export const theirs: ApplyOptions = { fieldManager: "theirs", force: false };
export const appSpec = {
  image: "contoso.azurecr.io/cats:1.4",
  modelVersion: "7",
  model: { store: "https://contoso.blob.core.windows.net/models", name: "cats" },
} as const;

/** What the cases of the suite share. */
export interface Cases {
  readonly kube: Kube;
  readonly forget: () => Promise<void>;
  /** A name that no other case uses. */
  readonly own: () => string;
  /** An object of the case's namespace and name. */
  readonly object: <T extends KubernetesObject>(
    kind: Kind<T>,
    fields: Fields,
    metadata?: Fields,
  ) => T;
  readonly apply: <T extends KubernetesObject>(
    kind: Kind<T>,
    fields: Fields,
    options?: ApplyOptions,
    metadata?: Fields,
  ) => Promise<T>;
  readonly get: <T extends KubernetesObject>(kind: Kind<T>) => Promise<T | undefined>;
  /** The fields of a Deployment with one container. */
  readonly deployment: (spec?: Fields, container?: Fields) => Fields;
  readonly use: (opened: OpenKube) => void;
  readonly next: () => void;
  readonly close: () => Promise<void>;
}

export function createCases(): Cases {
  let opened: OpenKube | undefined;
  let count = 0;
  const own = (): string => `case-${count}`;
  function current(): OpenKube {
    if (opened === undefined) throw new OperatorError("CONFIG_INVALID", "no API is open");
    return opened;
  }
  function object<T extends KubernetesObject>(
    _: Kind<T>,
    fields: Fields,
    metadata: Fields = {},
  ): T {
    return { ...fields, metadata: { namespace, name: own(), ...metadata } } as unknown as T;
  }
  return {
    get kube() {
      return current().kube;
    },
    forget: () => current().forget(),
    own,
    object,
    apply: (kind, fields, options = ours, metadata = {}) =>
      current().kube.apply(kind, object(kind, fields, metadata), options, signal),
    get: (kind) => current().kube.get(kind, namespace, own(), signal),
    deployment: (spec = {}, container = {}) => ({
      spec: {
        selector: { matchLabels: { app: own() } },
        template: {
          metadata: { labels: { app: own() } },
          spec: { containers: [{ name: "server", image: "registry.local/cats:1", ...container }] },
        },
        ...spec,
      },
    }),
    use: (api) => {
      opened = api;
    },
    next: () => {
      count += 1;
    },
    close: async () => opened?.close(),
  };
}

export async function refused(promise: Promise<unknown>, code: ErrorCode): Promise<void> {
  await expect(promise).rejects.toMatchObject({ code });
}

export function containerOf(found: V1Deployment | undefined): Fields {
  return { ...found?.spec?.template.spec?.containers[0] };
}

export function versionOf({ metadata }: KubernetesObject): string {
  return metadata?.resourceVersion ?? "";
}

export function uidOf({ metadata }: KubernetesObject): string {
  return metadata?.uid ?? "";
}

/** The fields of a manager, as `fieldsV1` has them. */
export function managerOf(found: KubernetesObject, manager: string, subresource?: string): unknown {
  const entry = found.metadata?.managedFields?.find(
    (one) => one.manager === manager && one.subresource === subresource,
  );
  return entry?.fieldsV1;
}
