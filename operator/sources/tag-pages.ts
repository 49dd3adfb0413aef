import { z } from "zod";

import { OperatorError } from "../errors.ts";
import type { Identity } from "./identity.ts";
import { nameOf, type ImageReference } from "./reference.ts";
import { AnswerTooLargeError, errorOf, jsonOf, type Answer } from "./registry-answer.ts";

/** `GET /v2/<name>/tags/list`, page by page: all of it or an error (OCI distribution spec, "Content Discovery"). */

interface Page extends Answer {
  readonly text: string;
  /** The header's value. */
  readonly link: string | undefined;
}

const PAGE = 1000;
const MAX_TAGS = 50_000;
/** A registry may give smaller pages than it was asked for, but not without end. */
const MAX_PAGES = 1000;

/** As the specification has it: what is no tag could lead elsewhere in the registry. */
const Tag = z.string().regex(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/);
const Tags = z.object({ tags: z.array(Tag).nullable() });

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
    const page: Page = await get(path).catch((error: unknown) => {
      throw error instanceof AnswerTooLargeError ? tooManyTags(repository) : error;
    });
    if (page.status !== 200) throw errorOf(page, repository, identity);
    for (const name of tagsIn(page.text, repository)) names.push(name);
    if (names.length > MAX_TAGS || pages + 1 === MAX_PAGES) throw tooManyTags(repository);
    path = page.link === undefined ? undefined : nextPath(page.link, first, repository);
  }
  return names;
}

function tooManyTags(repository: ImageReference): OperatorError {
  return new OperatorError(
    "TAGS_TOO_MANY",
    `${nameOf(repository)} has too many tags to choose among (50,000 at most): delete old ones, or name a tag in spec.image and remove imagePolicy`,
  );
}

function tagsIn(text: string, repository: ImageReference): readonly string[] {
  const parsed = Tags.safeParse(jsonOf(text));
  if (!parsed.success) {
    throw new OperatorError(
      "REGISTRY_UNEXPECTED_RESPONSE",
      `${repository.registry} answered no list of tags for ${nameOf(repository)}: is it a registry?`,
    );
  }
  return parsed.data.tags ?? [];
}

/** `</v2/cats/tags/list?last=1.4&n=1000>; rel="next"`: followed in the same list only, whatever host it names. */
function nextPath(link: string, list: string, repository: ImageReference): string | undefined {
  const target = /<([^<>]+)>\s*;\s*rel="?next"?/.exec(link)?.[1];
  if (target === undefined) return undefined;
  const url = URL.parse(target, `https://${repository.registry}${list}`);
  if (url?.pathname !== list) {
    throw new OperatorError(
      "REGISTRY_UNEXPECTED_RESPONSE",
      `${repository.registry} says that the list of tags of ${nameOf(repository)} goes on elsewhere: nobody goes there`,
    );
  }
  return list + url.search;
}
