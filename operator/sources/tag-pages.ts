import { z } from "zod";

import { OperatorError } from "../errors.ts";
import type { Identity } from "./identity.ts";
import { nameOf, type ImageReference } from "./reference.ts";
import { errorOf } from "./registry-answer.ts";

/** `GET /v2/<name>/tags/list`, page by page: all of it or an error (OCI distribution spec, "Content Discovery"). */

interface Page {
  readonly status: number;
  readonly text: string;
  readonly link: string | undefined;
  readonly retryAfter: string | undefined;
}

const PAGE = 1000;
const MAX_TAGS = 50_000;
/** A registry may give smaller pages than it was asked for, but not without end. */
const MAX_PAGES = 1000;

const Tags = z.object({ tags: z.array(z.string().max(128)).nullable() });

/** @param get answers a path with its query */
export async function readAllTags(
  repository: ImageReference,
  identity: Identity,
  get: (path: string) => Promise<Page>,
): Promise<readonly string[]> {
  const first = `/v2/${repository.repository}/tags/list`;
  const names: string[] = [];
  let path: string | undefined = `${first}?n=${PAGE}`;
  for (let pages = 0; path !== undefined; pages += 1) {
    const { status, text, link, retryAfter }: Page = await get(path);
    if (status !== 200)
      throw errorOf({ status, headers: { "retry-after": retryAfter } }, repository, identity);
    names.push(...tagsIn(text, repository));
    if (names.length > MAX_TAGS || pages === MAX_PAGES) {
      throw new OperatorError(
        "TAGS_TOO_MANY",
        `${nameOf(repository)} has more than ${names.length > MAX_TAGS ? MAX_TAGS : names.length} tags, too many to choose among: delete old ones, or name a tag in spec.image and remove imagePolicy`,
      );
    }
    path = link === undefined ? undefined : nextPath(link, first, repository);
  }
  return names;
}

function tagsIn(text: string, repository: ImageReference): readonly string[] {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    json = undefined;
  }
  const parsed = Tags.safeParse(json);
  if (!parsed.success) {
    throw new OperatorError(
      "REGISTRY_BAD_ANSWER",
      `${repository.registry} answered no list of tags for ${nameOf(repository)}: is it a registry?`,
    );
  }
  return parsed.data.tags ?? [];
}

/** `</v2/cats/tags/list?last=1.4&n=1000>; rel="next"`: followed in the same list only, whatever host it names. */
function nextPath(link: string, list: string, repository: ImageReference): string | undefined {
  const target = /<([^>]+)>\s*;\s*rel="?next"?/.exec(link)?.[1];
  if (target === undefined) return undefined;
  const url = URL.parse(target, `https://${repository.registry}${list}`);
  if (url?.pathname !== list) {
    throw new OperatorError(
      "REGISTRY_BAD_ANSWER",
      `${repository.registry} says that the list of tags of ${nameOf(repository)} goes on elsewhere: nobody goes there`,
    );
  }
  return list + url.search;
}
