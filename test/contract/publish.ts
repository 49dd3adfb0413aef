import type { ContainerClient } from "@azure/storage-blob";

import { MANIFEST } from "../../crds/bundle.ts";
import { sha256 } from "../../operator/sources/model/manifest.ts";

/** Puts model versions into a container as publishers do: files first, the manifest last. */
export type Files = Readonly<Record<string, string | Buffer>>;

/** Drops files into a version's folder, and no manifest. */
export async function upload(
  container: ContainerClient,
  folder: string,
  files: Files,
): Promise<void> {
  for (const [path, content] of Object.entries(files)) {
    const bytes = Buffer.from(content);
    await container.getBlockBlobClient(`${folder}/${path}`).upload(bytes, bytes.length);
  }
}

/** A manifest of these files, as bytes. */
export function manifestOf(name: string, version: string, files: Files): Buffer {
  const listed = Object.entries(files).map(([path, content]) => {
    const bytes = Buffer.from(content);
    return { path, size: bytes.length, sha256: sha256(bytes) };
  });
  return Buffer.from(JSON.stringify({ formatVersion: 1, name, version, files: listed }));
}

/** Publishes a version in full and returns its digest. */
export async function publish(
  container: ContainerClient,
  name: string,
  version: string,
  files: Files = { "model.onnx": `weights of ${version}` },
): Promise<string> {
  const manifest = manifestOf(name, version, files);
  await upload(container, `${name}/${version}`, files);
  await upload(container, `${name}/${version}`, { [MANIFEST]: manifest });
  return `sha256:${sha256(manifest)}`;
}
