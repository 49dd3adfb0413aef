import { createHash } from "node:crypto";

/** Puts images into a registry by the distribution API: an empty config, and a manifest that `build` makes distinct. */
export interface Repository {
  /** A plain registry on loopback. */
  readonly port: number;
  readonly repository: string;
  /** The Authorization header, where the registry asks for one. */
  readonly authorization?: string | undefined;
}

const IMAGE = "application/vnd.oci.image.manifest.v1+json";
const INDEX = "application/vnd.oci.image.index.v1+json";
const CONFIG = "application/vnd.oci.empty.v1+json";
const config = Buffer.from("{}");

export function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

async function send(
  method: "POST" | "PUT",
  url: URL,
  { authorization }: Repository,
  contentType: string,
  body?: Uint8Array<ArrayBuffer>,
): Promise<Response> {
  const answer = await fetch(url, {
    method,
    headers: { "content-type": contentType, ...(authorization !== undefined && { authorization }) },
    ...(body && { body }),
  });
  if (!answer.ok) throw new Error(`${method} ${url.href}: ${answer.status} ${await answer.text()}`);
  return answer;
}

async function putManifest(
  to: Repository,
  tag: string,
  mediaType: string,
  manifest: object,
): Promise<{ digest: string; size: number }> {
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, ...manifest }));
  const url = new URL(`http://127.0.0.1:${to.port}/v2/${to.repository}/manifests/${tag}`);
  await send("PUT", url, to, mediaType, bytes);
  return { digest: digestOf(bytes), size: bytes.length };
}

/** Pushes one build under a tag, which moves if it is there, and returns the manifest's digest. */
export async function pushImage(to: Repository, tag: string, build: string): Promise<string> {
  const uploads = new URL(`http://127.0.0.1:${to.port}/v2/${to.repository}/blobs/uploads/`);
  const started = await send("POST", uploads, to, "application/octet-stream");
  const upload = new URL(started.headers.get("location") ?? "", uploads);
  upload.searchParams.set("digest", digestOf(config));
  await send("PUT", upload, to, "application/octet-stream", config);
  const { digest } = await putManifest(to, tag, IMAGE, {
    config: { mediaType: CONFIG, digest: digestOf(config), size: config.length },
    layers: [],
    annotations: { build },
  });
  return digest;
}

/** Pushes an index of one image, as builds for several platforms are, and returns the index's own digest. */
export async function pushIndex(to: Repository, tag: string, build: string): Promise<string> {
  const image = await pushImage(to, `${tag}-amd64`, build);
  const url = `http://127.0.0.1:${to.port}/v2/${to.repository}/manifests/${image}`;
  const { authorization } = to;
  const head = await fetch(url, {
    method: "HEAD",
    headers: { accept: IMAGE, ...(authorization !== undefined && { authorization }) },
  });
  const { digest } = await putManifest(to, tag, INDEX, {
    manifests: [
      {
        mediaType: IMAGE,
        digest: image,
        size: Number(head.headers.get("content-length")),
        platform: { os: "linux", architecture: "amd64" },
      },
    ],
  });
  return digest;
}

/** Takes a tag away with the image that it points to, as the distribution API does. */
export async function deleteTag(to: Repository, tag: string): Promise<void> {
  const base = `http://127.0.0.1:${to.port}/v2/${to.repository}/manifests`;
  const headers = { accept: IMAGE, ...(to.authorization && { authorization: to.authorization }) };
  const head = await fetch(`${base}/${tag}`, { method: "HEAD", headers });
  const digest = head.headers.get("docker-content-digest") ?? "";
  const answer = await fetch(`${base}/${digest}`, { method: "DELETE", headers });
  if (!answer.ok) throw new Error(`DELETE ${tag}: ${answer.status} ${await answer.text()}`);
}
