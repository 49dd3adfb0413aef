import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { allowsHost, allowsLocation, allowsRepository } from "./allowance.ts";
import { isStore } from "./host.ts";
import { isReference, parseRepository } from "./image-reference.ts";

function allowsImage(allowed: string, image: string): boolean {
  const { registry, repository } = parseRepository(image);
  return allowsRepository(allowed, registry, repository);
}

const DIGEST = `sha256:${"a".repeat(64)}`;

describe("an allowed registry or repository", () => {
  it.each([
    ["contoso.azurecr.io", "contoso.azurecr.io/cats:1", true],
    ["contoso.azurecr.io", "contoso.azurecr.io.evil.com/cats:1", false],
    ["contoso.azurecr.io", "evil.contoso.azurecr.io/cats:1", false],
    ["contoso.azurecr.io", "contoso.azurecr.io:8443/cats:1", false],
    ["contoso.azurecr.io:8443", "contoso.azurecr.io:8443/cats:1", true],
    ["contoso.azurecr.io:8443", "contoso.azurecr.io/cats:1", false],
    ["Contoso.azurecr.io", "contoso.AzureCR.io/cats:1", true],
    ["contoso.azurecr.io/cats", "contoso.azurecr.io/cats:1", true],
    ["contoso.azurecr.io/cats", `contoso.azurecr.io/cats@${DIGEST}`, true],
    ["contoso.azurecr.io/cats", `contoso.azurecr.io/cats:1@${DIGEST}`, true],
    ["contoso.azurecr.io/cats", "contoso.azurecr.io/cats/big:1", true],
    ["contoso.azurecr.io/cats", "contoso.azurecr.io/cats-evil:1", false],
    ["contoso.azurecr.io/cats", "contoso.azurecr.io/cats_evil:1", false],
    ["contoso.azurecr.io/cats", "contoso.azurecr.io/cat:1", false],
    ["contoso.azurecr.io/cats", "contoso.azurecr.io/evil/cats:1", false],
    ["contoso.azurecr.io/cats/big", "contoso.azurecr.io/cats:1", false],
    ["", "contoso.azurecr.io/cats:1", false],
  ])("%j: %s is allowed: %s", (allowed, image, expected) => {
    expect(allowsImage(allowed, image)).toBe(expected);
  });
});

describe("an allowed store", () => {
  const account = "https://contoso.blob.core.windows.net";
  it.each([
    [account, `${account}/models/cats`, true],
    [account, "https://contoso.blob.core.windows.net.evil.com/models/cats", false],
    [account, "http://contoso.blob.core.windows.net/models/cats", false],
    [`${account}/models`, `${account}/models/cats`, true],
    [`${account}/models`, `${account}/models-evil/cats`, false],
    [`${account}/models`, `${account}/Models/cats`, false],
    [`${account}/models/cats`, `${account}/models/cats`, true],
    [`${account}/models/cats`, `${account}/models/cats-evil`, false],
    [`${account}/models/cats`, `${account}/models`, false],
    [account, `${account}\\.evil.com/models/cats`, false],
    ["contoso.blob.core.windows.net", `${account}/models/cats`, false],
  ])("%s: %s is allowed: %s", (allowed, location, expected) => {
    expect(allowsLocation(allowed, location)).toBe(expected);
  });
});

describe("an allowed DNS name", () => {
  it.each([
    ["cats.contoso.com", "cats.contoso.com", true],
    ["cats.contoso.com", "CATS.contoso.com.", true],
    ["cats.contoso.com", "evil.cats.contoso.com", false],
    ["*.contoso.com", "cats.contoso.com", true],
    ["*.contoso.com", "big.cats.contoso.com", true],
    ["*.contoso.com", "contoso.com", false],
    ["*.contoso.com", ".contoso.com", false],
    ["*.contoso.com", "evilcontoso.com", false],
    ["*.contoso.com", "contoso.com.evil.com", false],
    ["cats.contoso.com", "", false],
  ])("%s: %j is allowed: %s", (allowed, host, expected) => {
    expect(allowsHost(allowed, host)).toBe(expected);
  });
});

describe("whatever is allowed", () => {
  const label = fc.stringMatching(/^[a-z0-9]{1,6}(-[a-z0-9]{1,4})?$/);
  const registry = fc
    .tuple(label, label, fc.constantFrom("", ":5000"))
    .map(([a, b, port]) => `${a}.${b}${port}`);
  const folders = fc.array(label, { minLength: 1, maxLength: 3 });
  /** What attackers add to a name, to be taken for what it begins with. */
  const suffix = fc.stringMatching(/^[-._:@\\?#%a-z0-9]{1,8}$/);

  it("never allows a name that only begins with the same characters", () => {
    fc.assert(
      fc.property(registry, folders, suffix, folders, (host, path, more, below) => {
        const allowed = [host, ...path].join("/");
        const image = `${[`${allowed}${more}`, ...below].join("/")}:tag`;
        fc.pre(isReference(image));
        const named = parseRepository(image);
        const parts = `${named.registry}/${named.repository}`.split("/");
        const isInside = allowed.split("/").every((part, index) => part === parts[index]);
        expect(allowsImage(allowed, image)).toBe(isInside);
        const beside = `${host}${more}/${below.join("/")}:tag`;
        expect(isReference(beside) && allowsImage(host, beside)).toBe(false);
      }),
    );
  });

  it("of stores is on the very host that a parser of URLs sees, below the very folder", () => {
    const url = fc.stringMatching(/^https?:\/\/[a-z.\\@:#?%/-]{1,30}$/);
    fc.assert(
      fc.property(
        registry,
        folders,
        fc.oneof(
          url,
          folders.map((f) => f.join("/")),
        ),
        (host, path, tail) => {
          const allowed = `https://${host}/${path.join("/")}`;
          for (const location of [tail, `${allowed}${tail}`, `${allowed}/${tail}`]) {
            if (!isStore(location) || !allowsLocation(allowed, location)) continue;
            const seen = new URL(location);
            expect(seen.host).toBe(new URL(allowed).host);
            expect(`${seen.pathname}/`.startsWith(`/${path.join("/")}/`)).toBe(true);
          }
          expect(allowsLocation(allowed, `${allowed}/${path.join("/")}`)).toBe(true);
        },
      ),
    );
  });
});
