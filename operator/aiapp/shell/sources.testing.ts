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
  /** All that were published, deleted ones too, by the name under which they are kept. */
  readonly #versions = new Map<string, string>();
  /** Polls of a half fail with this code. */
  failing: { readonly half: "image" | "model"; readonly code: ErrorCode } | undefined;

  /** What the operator keeps: tags by the digest that they have, and the paths of blobs with their metadata. */
  readonly kept = { tags: new Set<string>(), blobs: new Map<string, Metadata>() };
  #writes = 0;
  readonly #etags = new Map<string, string>();

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
    listVersions: async ({ name }) => {
      this.#fail("model");
      if (name === KEPT_FOLDER)
        return [
          ...new Set([...this.kept.blobs.keys()].map((path) => path.split("/").at(-2) ?? "")),
        ];
      return this.published.versions;
    },
    readManifest: async ({ name }, version, known) => {
      this.#fail("model");
      if (name === KEPT_FOLDER && this.kept.blobs.has(`${name}/${version}/${MANIFEST}`))
        return { etag: "etag", bytes: manifestOf(this.#versions.get(version) ?? "").bytes };
      if (!this.published.versions.includes(version)) return undefined;
      const etag = `etag of ${version}`;
      return etag === known ? "unchanged" : { etag, bytes: manifestOf(version).bytes };
    },
    listFiles: async ({ name }, version) => {
      if (name === KEPT_FOLDER) {
        const prefix = `${name}/${version}/`;
        const paths = [...this.kept.blobs].filter(([path]) => path.startsWith(prefix));
        return paths.map(([path, metadata]) => ({
          ...fileOf(path.slice(prefix.length), metadata),
          etag: this.#etags.get(path) ?? "",
          // There is no clock here: a file without a manifest is never one that was left long ago.
          modifiedAt: Number.POSITIVE_INFINITY,
        }));
      }
      return this.published.versions.includes(version)
        ? [fileOf("model.onnx"), fileOf(MANIFEST)]
        : [];
    },
  };

  readonly copies: ModelCopies = {
    copy: async (_, { to, replaces }) => this.#replace(to, replaces, {}),
    write: async (_, { path, metadata, replaces }) => this.#replace(path, replaces, metadata),
    setMetadata: async (_, { path, etag, metadata }) => this.#replace(path, etag, metadata),
    remove: async (_, { path, etag }) => this.#replace(path, etag, undefined),
  };

  constructor() {
    this.published = this.#published;
  }

  get published(): Published {
    return this.#published;
  }

  set published(published: Published) {
    this.#published = published;
    for (const version of published.versions)
      this.#versions.set(keptVersionOf(modelDigest(version)), version);
  }

  /** Only what has the ETag is replaced, as in Blob Storage. */
  #replace(
    path: string,
    etag: string | undefined,
    metadata: Metadata | undefined,
  ): "done" | "changed" {
    if (this.#etags.get(path) !== etag) return "changed";
    if (metadata === undefined) {
      this.kept.blobs.delete(path);
      this.#etags.delete(path);
    } else {
      this.kept.blobs.set(path, metadata);
      this.#etags.set(path, `etag ${(this.#writes += 1)}`);
    }
    return "done";
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

interface Manifest {
  readonly bytes: Uint8Array;
  readonly digest: string;
}

const manifests = new Map<string, Manifest>();

function manifestOf(version: string): Manifest {
  let manifest = manifests.get(version);
  if (manifest === undefined) {
    const files = [{ path: "model.onnx", size: 1, sha256: sha256(`model ${version}`) }];
    const bytes = Buffer.from(JSON.stringify({ formatVersion: 1, name: "cats", version, files }));
    manifest = { bytes, digest: `sha256:${sha256(bytes)}` };
    manifests.set(version, manifest);
  }
  return manifest;
}

/** The file of one byte, and the manifest. */
export function modelBytes(version: string): number {
  return 1 + manifestOf(version).bytes.byteLength;
}

/** What a poll sees of a version. */
export function modelDigest(version: string): string {
  return manifestOf(version).digest;
}
