import { OperatorError } from "../errors.ts";

/** An image reference that names its registry: `host[:port]/repository[:tag][@digest]` (OCI distribution spec). */
export interface ImageReference {
  readonly registry: string;
  readonly repository: string;
  readonly tag: string | undefined;
  readonly digest: string | undefined;
}

const REFERENCE =
  /^(?<registry>[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]{1,5})?)\/(?<repository>[a-z0-9]+(?:(?:\.|_|__|-+|\/)[a-z0-9]+)*)(?::(?<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?(?:@(?<digest>sha256:[0-9a-f]{64}))?$/;

/** @throws IMAGE_REFERENCE_INVALID saying what is missing */
export function parseReference(text: string): ImageReference {
  const reference = parse(text);
  if (reference.tag === undefined && reference.digest === undefined) {
    throw new OperatorError(
      "IMAGE_REFERENCE_INVALID",
      `image ${text} names no tag or digest: add one, such as :1.4`,
    );
  }
  return reference;
}

export function isReference(text: string): boolean {
  const found = read(text);
  return (found?.tag ?? found?.digest) !== undefined;
}

/** The repository alone, whatever tag stands behind it. @throws IMAGE_REFERENCE_INVALID */
export function parseRepository(text: string): ImageReference {
  return { ...parse(text), tag: undefined, digest: undefined };
}

function parse(text: string): ImageReference {
  const found = read(text);
  if (found === undefined) {
    throw new OperatorError(
      "IMAGE_REFERENCE_INVALID",
      `image ${JSON.stringify(text)} must name a registry, a repository and a tag or digest, such as contoso.azurecr.io/cats:1.4 (for Docker Hub: docker.io/library/NAME:TAG)`,
    );
  }
  return found;
}

function read(text: string): ImageReference | undefined {
  const groups = text.length <= 1024 ? REFERENCE.exec(text)?.groups : undefined;
  const { registry, repository, tag, digest } = groups ?? {};
  return registry === undefined || repository === undefined || !/[.:]|^localhost$/.test(registry)
    ? undefined
    : { registry, repository, tag, digest };
}

/** As people write it: `host/repository`, with the tag or the digest if there is one. */
export function nameOf({ registry, repository, tag, digest }: ImageReference): string {
  const suffix = digest !== undefined ? `@${digest}` : tag !== undefined ? `:${tag}` : "";
  return `${registry}/${repository}${suffix}`;
}

/** What the pods run: the repository pinned by digest. */
export function pinned({ registry, repository }: ImageReference, digest: string): string {
  return `${registry}/${repository}@${digest}`;
}

/** Where a manifest is, by the digest if there is one. */
export function manifestPath({ repository, tag, digest }: ImageReference): string {
  return `/v2/${repository}/manifests/${digest ?? tag ?? ""}`;
}

/** Docker Hub's API answers under another name than its references carry. */
export function apiHost(registry: string): string {
  return registry === "docker.io" ? "registry-1.docker.io" : registry;
}
