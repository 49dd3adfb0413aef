import { OperatorError, type ErrorCode } from "../../errors.ts";
import type { ImageRegistry } from "../../sources/registry/image-registry.ts";
import { sha256 } from "../../sources/model/manifest.ts";
import type { ModelStore } from "../../sources/model/model-store.ts";
import { digestOf } from "../observed.testing.ts";

/** What is published: the image that the tag means, and the model's versions. */
export interface Published {
  /** The digest is that of this text. */
  readonly image: string;
  readonly versions: readonly string[];
}

/** A registry and a model store in memory. */
export class Sources {
  published: Published = { image: "image 1", versions: ["1"] };
  /** Polls of a half fail with this code. */
  failing: { readonly half: "image" | "model"; readonly code: ErrorCode } | undefined;

  readonly registry: ImageRegistry = {
    resolve: async ({ digest }) => {
      this.#fail("image");
      return digest ?? digestOf(this.published.image);
    },
    listTags: async () => ["1"],
    lastPush: async () => undefined,
  };

  readonly models: ModelStore = {
    listVersions: async () => {
      this.#fail("model");
      return this.published.versions;
    },
    readManifest: async (_, version) => {
      this.#fail("model");
      if (!this.published.versions.includes(version)) return undefined;
      return { etag: `etag of ${version}`, bytes: manifestOf(version) };
    },
    listFiles: async () => [],
  };

  #fail(half: "image" | "model"): void {
    if (this.failing?.half === half)
      throw new OperatorError(this.failing.code, "the source does not respond");
  }
}

function manifestOf(version: string): Uint8Array {
  const files = [{ path: "model.onnx", size: 1, sha256: sha256(`model ${version}`) }];
  return Buffer.from(JSON.stringify({ formatVersion: 1, name: "cats", version, files }));
}

/** What a poll sees of a version. */
export function modelDigest(version: string): string {
  return `sha256:${sha256(manifestOf(version))}`;
}
