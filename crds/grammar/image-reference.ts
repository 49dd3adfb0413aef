import { GrammarError } from "./grammar-error.ts";

/** An image reference that names its registry: `host[:port]/repository[:tag][@digest]` (OCI distribution spec). */
export interface ImageReference {
  readonly registry: string;
  readonly repository: string;
  readonly tag: string | undefined;
  readonly digest: string | undefined;
}

const TAG = "[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}";
const DIGEST = "sha256:[0-9a-f]{64}";
const REGISTRY = "[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]{1,5})?";
const REPOSITORY = "[a-z0-9]+(?:(?:\\.|_|__|-+|/)[a-z0-9]+)*";

const tagPattern = new RegExp(`^${TAG}$`);
const digestPattern = new RegExp(`^${DIGEST}$`);
const referencePattern = new RegExp(
  `^(?<registry>${REGISTRY})/(?<repository>${REPOSITORY})(?::(?<tag>${TAG}))?(?:@(?<digest>${DIGEST}))?$`,
);
const MAX_REFERENCE_LENGTH = 1024;

/** Reads a reference that has a tag, a digest or both. @throws IMAGE_REFERENCE_INVALID saying what is missing */
export function parseReference(text: string): ImageReference {
  const reference = parse(text);
  if (reference.tag === undefined && reference.digest === undefined) {
    throw new GrammarError(
      "IMAGE_REFERENCE_INVALID",
      `image ${text} names no tag or digest: add one, such as :1.4`,
    );
  }
  return reference;
}

export function isReference(text: string): boolean {
  const found = match(text);
  return (found?.tag ?? found?.digest) !== undefined;
}

/** Reads the registry and the repository; drops a tag or digest. @throws IMAGE_REFERENCE_INVALID */
export function parseRepository(text: string): ImageReference {
  return { ...parse(text), tag: undefined, digest: undefined };
}

export function isTag(text: string): boolean {
  return tagPattern.test(text);
}

/** `sha256:` and 64 lower-case hexadecimal digits: the only algorithm that this project uses. */
export function isDigest(text: string): boolean {
  return digestPattern.test(text);
}

/** `host/repository`, with the tag or the digest if there is one. */
export function formatReference({ registry, repository, tag, digest }: ImageReference): string {
  const suffix = digest !== undefined ? `@${digest}` : tag !== undefined ? `:${tag}` : "";
  return `${registry}/${repository}${suffix}`;
}

/** What the pods run: the repository pinned by digest. */
export function pinned({ registry, repository }: ImageReference, digest: string): string {
  return `${registry}/${repository}@${digest}`;
}

function parse(text: string): ImageReference {
  const found = match(text);
  if (found === undefined) {
    throw new GrammarError(
      "IMAGE_REFERENCE_INVALID",
      `image ${JSON.stringify(text)} must name a registry, a repository and a tag or digest, such as contoso.azurecr.io/cats:1.4 (for Docker Hub: docker.io/library/NAME:TAG)`,
    );
  }
  return found;
}

function match(text: string): ImageReference | undefined {
  const groups =
    text.length <= MAX_REFERENCE_LENGTH ? referencePattern.exec(text)?.groups : undefined;
  const { registry, repository, tag, digest } = groups ?? {};
  if (registry === undefined || repository === undefined || !isHost(registry)) return undefined;
  return { registry, repository, tag, digest };
}

/** A first part without a dot or a port is the first folder of a Docker Hub repository, not a host. */
function isHost(registry: string): boolean {
  return /[.:]|^localhost$/.test(registry);
}
