import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { formatReference, isDigest, isTag, parseReference, pinned } from "./image-reference.ts";

const digest = `sha256:${"a".repeat(64)}`;

describe("an image reference", () => {
  it.each([
    {
      text: "contoso.azurecr.io/cats:1.4",
      registry: "contoso.azurecr.io",
      repository: "cats",
      tag: "1.4",
    },
    {
      text: "ghcr.io/contoso/ml/cats:latest",
      registry: "ghcr.io",
      repository: "contoso/ml/cats",
      tag: "latest",
    },
    { text: "localhost:5000/cats:1", registry: "localhost:5000", repository: "cats", tag: "1" },
    { text: "localhost/cats:1", registry: "localhost", repository: "cats", tag: "1" },
    {
      text: "10.0.0.4:5000/a__b/c-d:x",
      registry: "10.0.0.4:5000",
      repository: "a__b/c-d",
      tag: "x",
    },
    { text: `a.io/cats@${digest}`, registry: "a.io", repository: "cats", tag: undefined, digest },
    { text: `a.io/cats:1@${digest}`, registry: "a.io", repository: "cats", tag: "1", digest },
  ])("is read: $text", ({ text, ...parts }) => {
    expect(parseReference(text)).toEqual({ digest: undefined, ...parts });
  });

  it.each([
    "cats:1",
    "contoso/cats:1",
    "a.io/Cats:1",
    "a.io//cats:1",
    "a.io/cats/:1",
    "a.io/../cats:1",
    "a.io:/cats:1",
    "https://a.io/cats:1",
    "user@a.io/cats:1",
    "a.io/cats:1 ",
    "a.io/cats:1\n",
    "a.io/cats:.1",
    `a.io/cats:${"1".repeat(129)}`,
    `a.io/${"a".repeat(1024)}:1`,
    "",
  ])("is refused, with an example: %j", (text) => {
    expect(() => parseReference(text)).toThrow(
      expect.objectContaining({
        code: "IMAGE_REFERENCE_INVALID",
        message: expect.stringContaining("contoso.azurecr.io/cats:1.4"),
      }),
    );
  });

  it.each(["a.io/cats:1@sha256:abc", `a.io/cats@sha512:${"a".repeat(64)}`, `a.io/cats@${digest}0`])(
    "is refused for a digest of another form: %s",
    (text) => expect(() => parseReference(text)).toThrow("must name a registry"),
  );

  it("needs a tag or a digest", () => {
    expect(() => parseReference("a.io/cats")).toThrow(
      "image a.io/cats names no tag or digest: add one, such as :1.4",
    );
  });

  it("is refused, or read so that it can be written again", () => {
    const units = fc.constantFrom("a", "-", ".", "_", "__", "/", ":", "@", "1", `@${digest}`);
    const part = fc.array(units, { maxLength: 5 }).map((units) => units.join(""));
    const texts = fc.tuple(part, part, part).map(([a, b, c]) => `a.io${a}/b${b}:1${c}`);
    fc.assert(
      fc.property(texts, (text) => {
        let parsed;
        try {
          parsed = parseReference(text);
        } catch {
          return;
        }
        const { registry, repository, tag, digest } = parsed;
        expect(
          `${registry}/${repository}${tag === undefined ? "" : `:${tag}`}${digest === undefined ? "" : `@${digest}`}`,
        ).toBe(text);
      }),
      { numRuns: 1000 },
    );
  });
});

it("is pinned by digest, without its tag", () => {
  expect(pinned(parseReference("a.io/ml/cats:1"), digest)).toBe(`a.io/ml/cats@${digest}`);
  expect(parseReference(pinned(parseReference("a.io/cats:1"), digest))).toMatchObject({ digest });
});

it("is written as it was read", () => {
  for (const text of ["a.io/ml/cats:1", `a.io/ml/cats@${digest}`])
    expect(formatReference(parseReference(text))).toBe(text);
});

it.each([
  ["1.4", true],
  ["_x", true],
  ["..", false],
  ["a/b", false],
  ["", false],
])("%j as a tag: %s", (text, valid) => expect(isTag(text)).toBe(valid));

it.each([
  [digest, true],
  [`${digest}0`, false],
  [digest.toUpperCase(), false],
  ["sha512:abc", false],
])("%s as a digest: %s", (text, valid) => expect(isDigest(text)).toBe(valid));
