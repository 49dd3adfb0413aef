import { OperatorError, type ErrorCode } from "../../errors.ts";
import type { ImageRegistry } from "../../sources/registry/image-registry.ts";
import { sha256 } from "../../sources/model/manifest.ts";
import { MANIFEST } from "../../../crds/bundle.ts";
import type { Metadata } from "../../sources/keep/claims.ts";
import type { ModelCopies } from "../../sources/keep/model-copies.ts";
import { isKeeperTag, KEPT_FOLDER, keptVersionOf } from "../../sources/keep/names.ts";
import type { ModelStore, StoredFile } from "../../sources/model/model-store.ts";
import { digestOf } from "../observed.testing.ts";

/** What is published: the image that the tag means, and the model's versions. */
export interface Published {
  /** The digest is that of this text. */
  readonly image: string;
  readonly versions: readonly string[];
}

/** A registry and a model store in memory. */
export class Sources {
  #published: Published = { image: "image 1", versions: ["1"] };
  /** All that were published, deleted ones too. */
  readonly versions = new Set<string>(["1"]);
  /** Polls of a half fail with this code. */
  failing: { readonly half: "image" | "model"; readonly code: ErrorCode } | undefined;

  /** What the operator keeps: tags by the digest that they have, and the paths of blobs with their metadata. */
  readonly kept = { tags: new Set<string>(), blobs: new Map<string, Metadata>() };

  readonly registry: ImageRegistry = {
    resolve: async ({ digest, tag }) => {
      this.#fail("image");
      if (tag === undefined || !isKeeperTag(tag)) return digest ?? digestOf(this.published.image);
      if (this.kept.tags.has(tag)) return `sha256:${tag.slice(-64)}`;
      throw new OperatorError("IMAGE_NOT_FOUND", "the tag is not there");
    },
    listTags: async () => ["1"],
    lastPush: async () => undefined,
    readManifest: async () => ({ mediaType: "application/json", text: "{}" }),
    writeManifest: async ({ tag }) => {
      this.kept.tags.add(tag ?? "");
      return "written";
    },
  };

  readonly models: ModelStore = {
    listVersions: async () => {
      this.#fail("model");
      return this.published.versions;
    },
    readManifest: async ({ name }, version) => {
      this.#fail("model");
      const kept = [...this.versions].find((one) => keptVersionOf(modelDigest(one)) === version);
      if (name === KEPT_FOLDER && this.kept.blobs.has(`${name}/${version}/${MANIFEST}`))
        return { etag: "etag", bytes: manifestOf(kept ?? "") };
      if (!this.published.versions.includes(version)) return undefined;
      return { etag: `etag of ${version}`, bytes: manifestOf(version) };
    },
    listFiles: async ({ name }, version) => {
      if (name === KEPT_FOLDER) {
        const prefix = `${name}/${version}/`;
        const paths = [...this.kept.blobs].filter(([path]) => path.startsWith(prefix));
        return paths.map(([path, metadata]) => fileOf(path.slice(prefix.length), metadata));
      }
      return this.published.versions.includes(version)
        ? [fileOf("model.onnx"), fileOf(MANIFEST)]
        : [];
    },
  };

  readonly copies: ModelCopies = {
    copy: async (_, { to }) => {
      this.kept.blobs.set(to, {});
      return "done";
    },
    write: async (_, { path, metadata }) => {
      this.kept.blobs.set(path, metadata);
    },
    setMetadata: async (_, { path, metadata }) => {
      this.kept.blobs.set(path, metadata);
      return "done";
    },
    remove: async (_, { path }) => {
      this.kept.blobs.delete(path);
      return "done";
    },
  };

  get published(): Published {
    return this.#published;
  }

  set published(published: Published) {
    this.#published = published;
    for (const version of published.versions) this.versions.add(version);
  }

  #fail(half: "image" | "model"): void {
    if (this.failing?.half === half)
      throw new OperatorError(this.failing.code, "the source does not respond");
  }
}

function fileOf(path: string, metadata: Metadata = {}): StoredFile {
  const isManifest = path === MANIFEST;
  return {
    path,
    size: 1,
    etag: "etag",
    committed: true,
    modifiedAt: 0,
    copy: "done",
    metadata: isManifest ? metadata : undefined,
  };
}

function manifestOf(version: string): Uint8Array {
  const files = [{ path: "model.onnx", size: 1, sha256: sha256(`model ${version}`) }];
  return Buffer.from(JSON.stringify({ formatVersion: 1, name: "cats", version, files }));
}

/** The file of one byte, and the manifest. */
export function modelBytes(version: string): number {
  return 1 + manifestOf(version).byteLength;
}

/** What a poll sees of a version. */
export function modelDigest(version: string): string {
  return `sha256:${sha256(manifestOf(version))}`;
}
