import { z } from "zod";

import {
  formatReference,
  isTag,
  type ImageReference,
} from "../../../crds/grammar/image-reference.ts";
import { ResponseTooLargeError } from "../../body.ts";
import type { ByteShare } from "../../byte-budget.ts";
import { OperatorError } from "../../errors.ts";
import type { Identity } from "../identity.ts";
import { parseJson, statusError, unexpectedResponse, type RegistryResponse } from "./response.ts";

/** `GET /v2/<name>/tags/list`, page by page: all of it or an error (OCI distribution spec, "Content Discovery"). */

const PAGE_SIZE = 1000;
const MAX_TAGS = 50_000;
/** A registry may return smaller pages than requested: the number of requests needs a bound of its own. */
const MAX_PAGES = 1000;

/** A name that is no tag would change the path of later requests. */
const TagList = z.object({ tags: z.array(z.string().refine(isTag)).nullable() });

/**
 * @param get requests a path with its query
 * @param share counts the tags that are held until the last page
 */
export async function readAllTags(
  repository: ImageReference,
  identity: Identity,
  get: (path: string) => Promise<RegistryResponse>,
  share: Pick<ByteShare, "take">,
): Promise<readonly string[]> {
  const listPath = `/v2/${repository.repository}/tags/list`;
  const tags: string[] = [];
  let path: string | undefined = `${listPath}?n=${PAGE_SIZE}`;
  const read = new Set<string>();
  for (let pages = 0; path !== undefined; pages += 1) {
    const page: RegistryResponse = await get(path).catch((error: unknown) => {
      throw error instanceof ResponseTooLargeError ? tooManyTags(repository) : error;
    });
    read.add(path);
    if (page.status !== 200) throw statusError(page, repository, identity);
    share.take(page.text.length);
    for (const tag of tagsIn(page, repository)) tags.push(tag);
    if (tags.length > MAX_TAGS || pages + 1 === MAX_PAGES) throw tooManyTags(repository);
    path = nextPath(page, listPath, repository);
    if (path !== undefined && read.has(path)) {
      throw unexpectedResponse(
        page,
        "its next page is one that was read before: check the registry, or a proxy before it",
      );
    }
  }
  return tags;
}

function tooManyTags(repository: ImageReference): OperatorError {
  return new OperatorError(
    "TAGS_TOO_MANY",
    `${formatReference(repository)} has too many tags to choose among (50,000 at most): delete old ones, or name a tag in spec.image and remove imagePolicy`,
  );
}

function tagsIn(page: RegistryResponse, { registry }: ImageReference): readonly string[] {
  const parsed = TagList.safeParse(parseJson(page.text));
  if (!parsed.success) {
    throw unexpectedResponse(page, `no list of tags: check that ${registry} is a registry`);
  }
  return parsed.data.tags ?? [];
}

/** Follows `</v2/cats/tags/list?last=1.4&n=1000>; rel="next"` within the same list only, whichever host it names. */
function nextPath(
  page: RegistryResponse,
  listPath: string,
  { registry }: ImageReference,
): string | undefined {
  const target = /<([^<>]+)>\s*;\s*rel="?next"?/.exec(page.header("link") ?? "")?.[1];
  if (target === undefined) return undefined;
  const url = URL.parse(target, `https://${registry}${listPath}`);
  if (url?.pathname !== listPath) {
    throw unexpectedResponse(
      page,
      `its next page is outside ${listPath}, which the operator does not follow: check the registry, or a proxy before it`,
    );
  }
  return listPath + url.search;
}
