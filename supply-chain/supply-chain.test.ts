import { readFileSync } from "node:fs";
import { join } from "node:path";

import { describe, expect, it } from "vitest";

import { findings as findingsOfImage } from "./image.ts";
import { findings } from "./licences.ts";
import { productionPackages, readLockfile, root } from "./lockfile.ts";
import { notices } from "./notices.ts";
import { createBoms } from "./sbom.ts";

const production = productionPackages(readLockfile());

describe("the packages that the images and the CLI contain", () => {
  it("are those of the lockfile that are not only for development", () => {
    const names = production.map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(["sharp", "onnxruntime-node", "commander"]));
    expect(names).not.toContain("vitest");
    expect(names).not.toContain("azurite");
  });

  it("have licences that we have agreed to", () => {
    expect(findings(production)).toEqual([]);
  });
});

describe("the licence check", () => {
  function found(name: string, license: string | undefined): boolean {
    return findings([{ name, version: "1.0.0", license }]).length > 0;
  }

  it.each([
    "GPL-3.0-only",
    "MIT AND GPL-2.0-only",
    "SSPL-1.0",
    "SEE LICENSE IN LICENSE",
    undefined,
  ])("names a package with the licence %s", (license) => {
    expect(found("new", license)).toBe(true);
  });

  it("accepts one licence of several that the user may choose from", () => {
    expect(found("new", "(MIT OR GPL-3.0-only)")).toBe(false);
  });

  it("accepts the LGPL for libvips only", () => {
    expect(found("@img/sharp-libvips-linux-x64", "LGPL-3.0-or-later")).toBe(false);
    expect(found("new", "LGPL-3.0-or-later")).toBe(true);
  });

  it("says which package, version and licence it found", () => {
    expect(findings([{ name: "new", version: "1.0.0", license: "GPL-3.0-only" }])).toEqual([
      "new@1.0.0: GPL-3.0-only",
    ]);
  });
});

describe("the SBOMs", () => {
  it("list every production package, no other, and are the same each time", async () => {
    const boms = await createBoms(0);
    const listed = [...boms.values()].flatMap(({ components }) =>
      components.map(({ name, version }) => `${name}@${version}`),
    );
    const own = ["cli", "crds", "model-server", "operator"].map((name) => `${name}@0.1.0`);
    const expected = production.map(({ name, version }) => `${name}@${version}`);
    expect(new Set(listed)).toEqual(new Set([...expected, ...own]));
    expect(boms.get("operator")?.components.map(({ name }) => name)).not.toContain("sharp");
    expect((await createBoms(0, ["cli"])).get("cli")).toEqual(boms.get("cli"));
  }, 90_000);
});

describe("the notices", () => {
  const text = notices(root);

  it("have each installed production package once, with its licence", () => {
    const heads = [...text.matchAll(/^(\S+) (\S+)\nLicence: .*\nFrom: /gm)];
    const names = heads.map(([, name, version]) => `${name}@${version}`);
    expect(new Set(names).size).toBe(names.length);
    expect(names).toContain(`sharp@${production.find(({ name }) => name === "sharp")?.version}`);
    expect(names.filter((name) => name.startsWith("vitest@"))).toEqual([]);
  });

  it("say where the source of libvips is, and that it can be replaced", () => {
    expect(text).toContain("can be replaced by another build");
    expect(text).toMatch(/github\.com\/lovell\/sharp-libvips\/tree\/v\d/);
  });

  it("name no folder of the machine that made them", () => {
    expect(text).not.toContain(join(root, "node_modules"));
  });
});

describe("the check of an image", () => {
  const node = { path: "usr/local/bin/node", mode: "-rwxr-xr-x", owner: "0/0" };
  const entry = {
    path: "app/compile-cache/v24.0.0-x64-00000000-65532/0a1b2c3d",
    mode: "-rw-r--r--",
    owner: "0/0",
  };
  const image = {
    user: "65532:65532",
    command: ["node"],
    environment: ["NODE_COMPILE_CACHE=/app/compile-cache"],
    files: [node, entry],
  };

  it("finds nothing in one that is as it should be", () => {
    expect(findingsOfImage(image)).toEqual([]);
  });

  it.each([
    ["without a compile cache", { files: [node] }],
    ["that does not say where its compile cache is", { environment: [] }],
    [
      "whose user cannot read its compile cache",
      { files: [node, { ...entry, mode: "-rw-------" }] },
    ],
    ["whose compile cache is another user's", { user: "1000:1000" }],
  ])("finds one %s", (_, change) => {
    expect(findingsOfImage({ ...image, ...change })).toEqual([
      expect.stringContaining("no compile cache"),
    ]);
  });
});

describe("the base image", () => {
  const lines = ["Dockerfile.operator", "Dockerfile.server"].map((name) => {
    const text = readFileSync(join(root, name), "utf8");
    return { base: /^ARG BASE=(.*)$/m.exec(text)?.[1], from: [...text.matchAll(/^FROM (\S+)/gm)] };
  });

  it("is pinned by digest, the same one in both Dockerfiles", () => {
    const [operator, server] = lines.map(({ base }) => base);
    expect(operator).toMatch(/^docker\.io\/library\/node:[\w.-]+@sha256:[0-9a-f]{64}$/);
    expect(server).toBe(operator);
  });

  it("is no part of the images, which begin empty", () => {
    for (const { from } of lines) {
      expect(from.map(([, name]) => name)).toEqual(["${BASE}", "scratch"]);
    }
  });
});
