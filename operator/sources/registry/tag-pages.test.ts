import { describe, expect, it } from "vitest";

import { parseRepository } from "../../../crds/grammar/image-reference.ts";
import { OperatorError } from "../../errors.ts";
import type { RegistryResponse } from "./response.ts";
import { readAllTags } from "./tag-pages.ts";

const repository = parseRepository("evil.example/cats");
const share = { take: () => {} };

/** How reading ends, and after how many requests, when each page names the one that `next` gives. */
async function readPages(
  next: (page: number) => string,
  tagsOf: (page: number) => readonly string[],
): Promise<{ code: string; requests: number }> {
  let requests = 0;
  const get = async (): Promise<RegistryResponse> => {
    requests += 1;
    const page = requests;
    return {
      request: "GET https://evil.example/v2/cats/tags/list",
      status: 200,
      header: (name) => (name === "link" ? `<${next(page)}>; rel="next"` : undefined),
      text: JSON.stringify({ tags: tagsOf(page) }),
    };
  };
  const read = readAllTags(repository, { kind: "anonymous" }, get, share);
  const error: unknown = await read.then(
    () => undefined,
    (caught: unknown) => caught,
  );
  if (!(error instanceof OperatorError)) throw error;
  return { code: error.code, requests };
}

describe("pages of tags", () => {
  it("end at one that links to itself, or to one before", async () => {
    const tags = (): readonly string[] => ["1.0.0"];
    expect(await readPages(() => "?last=1.0.0", tags)).toEqual({
      code: "REGISTRY_UNEXPECTED_RESPONSE",
      requests: 2,
    });
    expect(await readPages((page) => `?last=${page % 3}`, tags)).toMatchObject({
      code: "REGISTRY_UNEXPECTED_RESPONSE",
      requests: 4,
    });
  });

  it("end when there are too many tags, or too many pages", async () => {
    const many = (page: number): readonly string[] =>
      Array.from({ length: 999 }, (_, n) => `1.${page}.${n}`);
    expect(await readPages((page) => `?last=${page}`, many)).toEqual({
      code: "TAGS_TOO_MANY",
      requests: 51,
    });
    expect(
      await readPages(
        (page) => `?last=${page}`,
        () => [],
      ),
    ).toEqual({
      code: "TAGS_TOO_MANY",
      requests: 1000,
    });
  });
});
