import { describe, expect, it } from "vitest";

import { findings, readImage } from "../../supply-chain/image.ts";
import { readGiven } from "../support/platform.ts";

/** The files of the images that the other tests run, with a read-only root file system and not as root. */

const { images } = readGiven(process.env);

describe.each(["operator", "server"] as const)("the image of the %s", (name) => {
  it("has no shell, no package manager, and nothing that its user can change", async () => {
    const image = await readImage(images[name]);
    expect(findings(image)).toEqual([]);
    expect(image.user).toBe("65532:65532");
  });

  it("has node, the notices of what is in it, and no files of tests", async () => {
    const { files } = await readImage(images[name]);
    const paths = files.map(({ path }) => path);
    expect(paths).toEqual(
      expect.arrayContaining(["usr/local/bin/node", "app/THIRD-PARTY-NOTICES.txt", "app/LICENSE"]),
    );
    const own = paths.filter((path) => !path.includes("node_modules/"));
    expect(own.filter((path) => /\.(test|testing)\.ts$/.test(path))).toEqual([]);
    expect(paths.filter((path) => path.startsWith("app/node_modules/typescript/"))).toEqual([]);
  });
});
