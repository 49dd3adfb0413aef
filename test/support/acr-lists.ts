import type { ServerResponse } from "node:http";

import { z } from "zod";

/** ACR's own lists, `/acr/v1`, from the contents of the real registry behind the stand-in. */
const Tags = z.object({ tags: z.array(z.string()).nullable().optional() });
const Catalog = z.object({ repositories: z.array(z.string()) });

const MANIFEST_TYPES = [
  "application/vnd.oci.image.manifest.v1+json",
  "application/vnd.oci.image.index.v1+json",
  "application/vnd.docker.distribution.manifest.v2+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
].join(", ");

/** Manifests have no timestamps here. */
const TIME = "2026-01-01T00:00:00.0000000Z";

/** When tags were last pushed. The real registry has no timestamps: the time is when a tag was first seen at its digest. */
export interface TagTimes {
  /** RFC 3339, later with each observed change. */
  readonly of: (repository: string, tag: string, digest: string) => string;
}

export function createTagTimes(): TagTimes {
  const seen = new Map<string, { readonly digest: string; readonly time: string }>();
  let last = Date.parse(TIME);
  return {
    of: (repository, tag, digest) => {
      const key = `${repository}:${tag}`;
      const before = seen.get(key);
      if (before?.digest === digest) return before.time;
      last += 1;
      const time = new Date(last).toISOString();
      seen.set(key, { digest, time });
      return time;
    },
  };
}
const attributes = {
  deleteEnabled: true,
  writeEnabled: true,
  readEnabled: true,
  listEnabled: true,
};

interface Manifest {
  readonly digest: string;
  readonly mediaType: string;
  readonly size: number;
}

export async function listRoutes(
  { upstream, tagTimes }: { readonly upstream: number; readonly tagTimes: TagTimes },
  registry: string,
  pathname: string,
  query: URLSearchParams,
  response: ServerResponse,
): Promise<void> {
  const base = `http://127.0.0.1:${upstream}/v2`;

  async function tagsOf(repository: string): Promise<readonly string[] | undefined> {
    const answer = await fetch(`${base}/${repository}/tags/list`);
    if (answer.status !== 200) return undefined;
    return Tags.parse(await answer.json()).tags ?? [];
  }
  async function manifestOf(repository: string, reference: string): Promise<Manifest | undefined> {
    const answer = await fetch(`${base}/${repository}/manifests/${reference}`, {
      method: "HEAD",
      headers: { accept: MANIFEST_TYPES },
    });
    if (answer.status !== 200) return undefined;
    return {
      digest: answer.headers.get("docker-content-digest") ?? "",
      mediaType: answer.headers.get("content-type") ?? "",
      size: Number(answer.headers.get("content-length")),
    };
  }
  function answer(status: number, body: unknown, headers: Record<string, string> = {}): void {
    response
      .writeHead(status, { "content-type": "application/json", ...headers })
      .end(JSON.stringify(body));
  }
  function missing(code: string, message: string): void {
    answer(404, { errors: [{ code, message, detail: null }] });
  }
  /** One page after `last`, with ACR's Link header when there is more. */
  function page(all: readonly string[]): {
    items: readonly string[];
    headers: Record<string, string>;
  } {
    const limit = Math.min(Number(query.get("n") ?? 100), 100);
    const last = query.get("last");
    const rest = last === null ? all : all.slice(all.indexOf(last) + 1);
    const items = rest.slice(0, limit);
    const more = items.length < rest.length;
    const next = new URLSearchParams(query);
    next.set("last", items.at(-1) ?? "");
    return { items, headers: more ? { link: `<${pathname}?${next.toString()}>; rel="next"` } : {} };
  }

  if (pathname === "/acr/v1/_catalog") {
    const { repositories } = Catalog.parse(await (await fetch(`${base}/_catalog`)).json());
    const { items, headers } = page(repositories);
    return answer(200, { repositories: items }, headers);
  }
  const names = /^\/v2\/(.+)\/tags\/list$/.exec(pathname)?.[1];
  if (names !== undefined) {
    const tags = await tagsOf(names);
    if (tags === undefined) return missing("NAME_UNKNOWN", `repository ${names} is not found`);
    const { items, headers } = page(tags.toSorted());
    return answer(200, { name: names, tags: items }, headers);
  }
  const match = /^\/acr\/v1\/(.+?)(?:\/_(tags|manifests)(?:\/(.+))?)?$/.exec(pathname);
  const repository = decodeURIComponent(match?.[1] ?? "");
  const [kind, one] = [
    match?.[2],
    match?.[3] === undefined ? undefined : decodeURIComponent(match[3]),
  ];
  const tags = await tagsOf(repository);
  if (tags === undefined) return missing("NAME_UNKNOWN", `repository ${repository} is not found`);
  const times = { createdTime: TIME, lastUpdateTime: TIME };
  const updated = (tag: string, digest: string): string => tagTimes.of(repository, tag, digest);
  const head = { registry, imageName: repository };

  async function tagged(): Promise<ReadonlyMap<string, { manifest: Manifest; tags: string[] }>> {
    const found = new Map<string, { manifest: Manifest; tags: string[] }>();
    for (const tag of tags ?? []) {
      const manifest = await manifestOf(repository, tag);
      if (manifest === undefined) continue;
      const entry = found.get(manifest.digest) ?? { manifest, tags: [] };
      entry.tags.push(tag);
      found.set(manifest.digest, entry);
    }
    return found;
  }
  const tagEntry = (name: string, digest: string): unknown => ({
    name,
    digest,
    createdTime: TIME,
    lastUpdateTime: updated(name, digest),
    signed: false,
    changeableAttributes: attributes,
  });
  const manifestEntry = ({ manifest, tags }: { manifest: Manifest; tags: string[] }): unknown => ({
    digest: manifest.digest,
    imageSize: manifest.size,
    ...times,
    mediaType: manifest.mediaType,
    tags,
    changeableAttributes: attributes,
  });

  if (kind === "tags" && one !== undefined) {
    const manifest = await manifestOf(repository, one);
    if (manifest === undefined) return missing("TAG_UNKNOWN", `the tag ${one} does not exist`);
    return answer(200, { ...head, tag: tagEntry(one, manifest.digest) });
  }
  if (kind === "tags") {
    const all = await tagged();
    const digests = new Map(
      [...all.values()].flatMap((e) => e.tags.map((t) => [t, e.manifest.digest] as const)),
    );
    const byName = [...digests.keys()].toSorted();
    const timeOf = (tag: string): string => updated(tag, digests.get(tag) ?? "");
    const { items, headers } = page(
      query.get("orderby") === "timedesc"
        ? byName.toSorted((a, b) => timeOf(b).localeCompare(timeOf(a)))
        : byName,
    );
    return answer(
      200,
      { ...head, tags: items.map((tag) => tagEntry(tag, digests.get(tag) ?? "")) },
      headers,
    );
  }
  const all = await tagged();
  if (kind === "manifests" && one !== undefined) {
    const entry = all.get(one);
    if (entry === undefined) return missing("MANIFEST_UNKNOWN", `manifest ${one} is not found`);
    return answer(200, { ...head, manifest: manifestEntry(entry) });
  }
  if (kind === "manifests") {
    const { items, headers } = page([...all.keys()].toSorted());
    const entries = items.flatMap((digest) => all.get(digest) ?? []);
    return answer(200, { ...head, manifests: entries.map(manifestEntry) }, headers);
  }
  return answer(200, {
    ...head,
    ...times,
    manifestCount: all.size,
    tagCount: tags.length,
    changeableAttributes: { ...attributes, teleportEnabled: false },
  });
}
