import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";

import type { Identity } from "../../operator/sources/identity.ts";
import type { ImageRegistry } from "../../operator/sources/registry/image-registry.ts";
import { parseRepository } from "../../crds/grammar/image-reference.ts";
import { imageSource } from "../../operator/sources/registry/image-source.ts";
import type { ImageSeen } from "../../operator/sources/source.ts";
import { login } from "../support/world.ts";
import { deleteTag, pushImage } from "./push.ts";
import {
  anonymous,
  basic,
  bounded,
  startRegistries,
  type Registries,
  type RegistryName,
} from "./registries.ts";
import { errorOf, reader } from "./services.ts";

/** How a tag is chosen among those of a repository, against real registries. */

let registries: Registries;

beforeAll(async () => {
  registries = await startRegistries();
});
afterEach(() => registries.services.world.faults.clear());
afterAll(() => registries?.close());

interface Looking {
  /** One poll, which knows what the one before saw. */
  readonly poll: () => Promise<ImageSeen>;
}

function look(image: string, semver: string, identity: Identity): Looking {
  const source = imageSource(registries.fresh(), { image, policy: { semver } }, identity);
  let seen: ImageSeen | undefined;
  return {
    poll: async () => {
      seen = await source.poll(seen, bounded());
      return seen;
    },
  };
}

const list = (registry: ImageRegistry, image: string, identity: Identity) =>
  registry.listTags(parseRepository(image), identity, bounded());

/** Paths requested since the last call, without host and query. */
function requested(): readonly string[] {
  const { faults } = registries.services.world;
  const paths = faults
    .requests()
    .map(({ method, path }) => `${method} ${path.replace(/\?.*$/, "")}`);
  faults.forget();
  return paths;
}

describe.each<{ registry: RegistryName; identity: Identity; as: string }>([
  { registry: "a plain registry", identity: anonymous, as: "anonymous" },
  { registry: "a registry with logins", identity: basic, as: "a login" },
  { registry: "ACR", identity: anonymous, as: "anonymous" },
  { registry: "ACR", identity: basic, as: "a login" },
  { registry: "ACR", identity: reader, as: "a workload identity" },
])("$registry, listed as $as", ({ registry: name, identity }) => {
  it("gives the newest tag of a range, and its digest", async () => {
    const { to, image } = registries.newPlace(name);
    await pushImage(to, "1.9.0", "old");
    const digest = await pushImage(to, "1.10.0", "new");
    for (const tag of ["2.0.0", "latest", "1.10"]) await pushImage(to, tag, tag);
    expect(await look(`${image}:latest`, ">=1 <2", identity).poll()).toMatchObject({
      image: `${image}:1.10.0`,
      digest,
    });
  });

  it("is followed to a newer tag, and to another digest of the same one", async () => {
    const { to, image } = registries.newPlace(name);
    const first = await pushImage(to, "1.0.0", "first");
    const { poll } = look(image, "^1", identity);
    expect(await poll()).toMatchObject({ digest: first });
    const second = await pushImage(to, "1.0.1", "second");
    expect(await poll()).toMatchObject({ image: `${image}:1.0.1`, digest: second });
    const again = await pushImage(to, "1.0.1", "again");
    expect(await poll()).toMatchObject({ image: `${image}:1.0.1`, digest: again });
    // A fix of an older line is a push, and no newer tag.
    await pushImage(to, "1.0.0", "fixed");
    expect(await poll()).toMatchObject({ image: `${image}:1.0.1`, digest: again });
  });

  it("reports an empty repository, and a policy that admits no tag", async () => {
    const { to, image } = registries.newPlace(name);
    const missing = await errorOf(look(image, "^1", identity).poll());
    expect(missing).toMatchObject({ code: "IMAGE_NOT_FOUND" });
    await pushImage(to, "latest", "first");
    const unfit = await errorOf(look(image, "^1", identity).poll());
    expect(unfit).toMatchObject({ code: "IMAGE_NOT_FOUND" });
    expect(unfit.message).toMatch(/spec\.imagePolicy admits none of the 1 tags of /);
  });

  it("sees what is left when the chosen tag is deleted, and says nothing of an empty list", async () => {
    const { to, image } = registries.newPlace(name);
    const old = await pushImage(to, "1.0.0", "first");
    await pushImage(to, "1.0.1", "second");
    const { poll } = look(image, "^1", identity);
    await poll();
    await deleteTag(to, "1.0.1");
    expect(await poll()).toMatchObject({ image: `${image}:1.0.0`, digest: old });
    await deleteTag(to, "1.0.0");
    const error = await errorOf(poll());
    expect(error).toMatchObject({ code: "IMAGE_NOT_FOUND" });
  });
});

describe("ACR", () => {
  it.each<{ identity: Identity; as: string }>([
    { identity: basic, as: "a login" },
    { identity: reader, as: "a workload identity" },
  ])("gives all pages of a long list, or nothing, to $as", async ({ identity }) => {
    const { to, image } = registries.newPlace("ACR");
    const tags = Array.from({ length: 230 }, (_, minor) => `1.${minor}.0`);
    for (const tag of tags) await pushImage(to, tag, "same");
    const registry = registries.fresh();
    expect(new Set(await list(registry, image, identity))).toEqual(new Set(tags));

    // The second page of three is lost.
    const action = { kind: "status", status: 500, headers: {} } as const;
    registries.services.world.faults.add({ service: "acr", path: "tags/list.*last=", action });
    const error = await errorOf(list(registry, image, identity));
    expect(error).toMatchObject({ code: "REGISTRY_UNAVAILABLE" });
  });

  it("is read with a workload identity for the last push only, while there is none", async () => {
    const { to, image } = registries.newPlace("ACR");
    await pushImage(to, "1.0.0", "first");
    const { poll } = look(image, "^1", reader);
    await poll();
    requested();
    await poll();
    const { repository } = to;
    expect(requested()).toEqual([
      `GET /acr/v1/${encodeURIComponent(repository)}/_tags`,
      `HEAD /v2/${repository}/manifests/1.0.0`,
    ]);
    await pushImage(to, "1.0.1", "second");
    await poll();
    expect(requested()).toContain(`GET /v2/${repository}/tags/list`);
  });

  it("is listed in full when it denies a workload identity the last push", async () => {
    const { to, image } = registries.newPlace("ACR");
    await pushImage(to, "1.0.0", "first");
    const action = { kind: "status", status: 403, headers: {} } as const;
    registries.services.world.faults.add({ service: "acr", path: "/acr/v1/", action });
    const { poll } = look(image, "^1", reader);
    await poll();
    const digest = await pushImage(to, "1.0.1", "second");
    expect(await poll()).toMatchObject({ image: `${image}:1.0.1`, digest });
  });

  it.each<{ what: string; headers?: Record<string, string>; body: string; code: string }>([
    { what: "an empty list", body: '{"tags":[]}', code: "IMAGE_NOT_FOUND" },
    { what: "no list", body: '{"tags":null}', code: "IMAGE_NOT_FOUND" },
    { what: "something else", body: "<html>", code: "REGISTRY_UNEXPECTED_RESPONSE" },
    { what: "tags that are none", body: '{"tags":[1,2]}', code: "REGISTRY_UNEXPECTED_RESPONSE" },
    {
      what: "tags that lead elsewhere",
      body: '{"tags":["1.0.0","../../../../v2/other/manifests/1.0.0"]}',
      code: "REGISTRY_UNEXPECTED_RESPONSE",
    },
    { what: "a list without end", body: `["${"x".repeat(9_000_000)}"]`, code: "TAGS_TOO_MANY" },
    {
      what: "a next page that is elsewhere",
      body: '{"tags":["1.0.0"]}',
      headers: { link: '</v2/other/tags/list?last=1.0.0>; rel="next"' },
      code: "REGISTRY_UNEXPECTED_RESPONSE",
    },
    {
      what: "a next page that is the same one",
      body: JSON.stringify({ tags: Array.from({ length: 999 }, (_, n) => `1.${n}.0`) }),
      headers: { link: '<?last=1.0.0>; rel="next"' },
      code: "REGISTRY_UNEXPECTED_RESPONSE",
    },
  ])("is not believed when it answers $what", async ({ body, headers = {}, code }) => {
    const { to, image } = registries.newPlace("ACR");
    await pushImage(to, "1.0.0", "first");
    const action = {
      kind: "status",
      status: 200,
      headers: { "content-type": "application/json", ...headers },
      body,
    } as const;
    registries.services.world.faults.add({ service: "acr", path: "tags/list", action });
    for (const identity of [basic, reader]) {
      const error = await errorOf(look(image, "^1", identity).poll());
      expect(error.code).toBe(code);
      expect(error.message).toContain(to.repository);
      expect(error.message).not.toContain(login.password);
    }
  });
});
