import { join } from "node:path";

import { execa } from "execa";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";

import { parseReference } from "../../crds/grammar/image-reference.ts";
import type { Identity } from "../../operator/sources/identity.ts";
import { imageKeeper } from "../../operator/sources/keep/image-keeper.ts";
import { keeperTagOf } from "../../operator/sources/keep/names.ts";
import { imageSource } from "../../operator/sources/registry/image-source.ts";
import type { KeptSeen } from "../../operator/sources/source.ts";
import { readerLogin } from "../support/world.ts";
import { deleteTag, pushImage, pushIndex } from "./push.ts";
import {
  anonymous,
  basic,
  bounded,
  startRegistries,
  type Registries,
  type RegistryName,
} from "./registries.ts";
import { reader } from "./services.ts";

/** How images outlive what deletes untagged ones: in real registries. */

let registries: Registries;

beforeAll(async () => {
  registries = await startRegistries();
});
afterEach(() => registries.services.world.faults.clear());
afterAll(() => registries?.close());

function keep(image: string, digest: string, identity: Identity): Promise<KeptSeen> {
  const reference = { ...parseReference(`${image}:1`), digest };
  return imageKeeper(registries.fresh(), reference, identity).poll(undefined, bounded());
}

function exists(image: string, identity: Identity): Promise<boolean> {
  return registries
    .fresh()
    .resolve(parseReference(image), identity, bounded())
    .then(
      () => true,
      () => false,
    );
}

describe.each<{ registry: RegistryName; folder: string; identity: Identity; as: string }>([
  { registry: "a plain registry", folder: "registry", identity: basic, as: "a login" },
  { registry: "a registry with logins", folder: "logins", identity: basic, as: "a login" },
  { registry: "ACR", folder: "acr", identity: basic, as: "a login" },
  { registry: "ACR", folder: "acr", identity: reader, as: "a workload identity" },
])("$registry, with $as", ({ registry, folder, identity }) => {
  it("keeps an image whose tag moved from garbage collection, which takes others", async () => {
    const { to, image } = registries.newPlace(registry);
    const lost = await pushImage(to, "1", "first");
    const kept = await pushImage(to, "1", "second");
    const index = await pushIndex(to, "1-all", "third");
    expect(await keep(image, kept, identity)).toMatchObject({
      state: "Kept",
      message: `tag ${keeperTagOf(kept)}`,
    });
    expect(await keep(image, index, identity)).toMatchObject({ state: "Kept" });
    await pushImage(to, "1", "fourth");
    await pushIndex(to, "1-all", "fifth");
    const config = join(registries.services.folder, folder, "config.yml");
    await execa("docker-registry", ["garbage-collect", "--delete-untagged=true", config]);
    expect(await exists(`${image}@${kept}`, identity)).toBe(true);
    expect(await exists(`${image}@${index}`, identity)).toBe(true);
    expect(await exists(`${image}@${lost}`, identity)).toBe(false);
  });
});

describe("an image keeper", () => {
  it("writes once: afterwards it looks for its tag alone", async () => {
    const { to, image } = registries.newPlace("ACR");
    const digest = await pushImage(to, "1", "first");
    await keep(image, digest, basic);
    registries.services.world.faults.forget();
    expect(await keep(image, digest, basic)).toMatchObject({ state: "Kept" });
    const methods = registries.services.world.faults
      .requests()
      .filter(({ path }) => path.startsWith("/v2/"))
      .map(({ method }) => method);
    expect(new Set(methods)).toEqual(new Set(["HEAD"]));
  });

  it.each<[string, RegistryName, Identity, RegExp]>([
    [
      "a login that may only pull",
      "ACR",
      { kind: "basic", ...readerLogin },
      /may not push to .*: give/,
    ],
    ["no login", "ACR", anonymous, /read anonymously: name a login/],
    ["no login, even where the registry needs none", "a plain registry", anonymous, /anonymously/],
  ])("reports with %s that it cannot keep, and is no error", async (_, registry, identity, why) => {
    const { to, image } = registries.newPlace(registry);
    const digest = await pushImage(to, "1", "first");
    const result = await keep(image, digest, identity);
    expect(result).toMatchObject({ state: "Refused", message: expect.stringMatching(why) });
    expect(await exists(`${image}:${keeperTagOf(digest)}`, identity)).toBe(false);
  });

  it("reports an image that is gone", async () => {
    const { to, image } = registries.newPlace("ACR");
    const digest = await pushImage(to, "1", "first");
    await deleteTag(to, "1");
    expect(await keep(image, digest, basic)).toMatchObject({ state: "Lost" });
  });

  it("moves a tag of its name back that another client moved", async () => {
    const { to, image } = registries.newPlace("a plain registry");
    const digest = await pushImage(to, "1", "first");
    await pushImage(to, keeperTagOf(digest), "another");
    expect(await keep(image, digest, basic)).toMatchObject({ state: "Kept" });
    const tag = parseReference(`${image}:${keeperTagOf(digest)}`);
    expect(await registries.fresh().resolve(tag, basic, bounded())).toBe(digest);
  });

  it("sets tags that no imagePolicy follows", async () => {
    const { to, image } = registries.newPlace("a plain registry");
    // The number at the end of the tag, and of a digest: of three, one is higher than 0.
    const policy = { pattern: "[a-z0-9-]*?([0-9]+)[a-z]*" };
    const digests = [
      await pushImage(to, "build-0", "first"),
      await pushImage(to, "build-0", "second"),
      await pushImage(to, "build-0", "third"),
    ];
    const source = imageSource(registries.fresh(), { image, policy }, basic);
    const before = await source.poll(undefined, bounded());
    for (const digest of digests) await keep(image, digest, basic);
    expect(await source.poll(undefined, bounded())).toEqual(before);
    expect(before.image).toBe(`${image}:build-0`);
  });
});
