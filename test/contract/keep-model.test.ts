import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";

import { ContainerSASPermissions, type ContainerClient } from "@azure/storage-blob";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";

import { MANIFEST } from "../../crds/bundle.ts";
import { systemClock } from "../../operator/clock.ts";
import { pull } from "../../operator/pull-model/pull.ts";
import type { Identity } from "../../operator/sources/identity.ts";
import { createBlobCopies } from "../../operator/sources/keep/blob-copies.ts";
import { CLAIM_MS } from "../../operator/sources/keep/claims.ts";
import type { ModelCopies } from "../../operator/sources/keep/model-copies.ts";
import { modelKeeper } from "../../operator/sources/keep/model-keeper.ts";
import { KEPT_FOLDER, keptVersionOf } from "../../operator/sources/keep/names.ts";
import { createSweep } from "../../operator/sources/keep/sweep.ts";
import { createContainers } from "../../operator/sources/model/blob-container.ts";
import { createBlobStore } from "../../operator/sources/model/blob-store.ts";
import type { KeptSeen, Source } from "../../operator/sources/source.ts";
import { accountClient, storageAccount } from "../support/azurite.ts";
import { publish, upload, type Files } from "./publish.ts";
import { errorOf, reader, startServices, type Services } from "./services.ts";

/** How model versions outlive their deletion: copies in a real Blob Storage, and pods that pull them. */

const files: Files = {
  "model.onnx": randomBytes(300_000),
  "data/labels.txt": "cat\ndog\n",
  empty: "",
};

let services: Services;
/** The container behind all faults, with full rights. */
let container: ContainerClient;
let store: string;
let accountKey: Identity;
let models = 0;
/** A model that no other test uses. */
let name: string;

beforeAll(async () => {
  services = await startServices();
  const { world } = services;
  container = accountClient(world.behind.blob).getContainerClient("models");
  store = `https://127.0.0.1:${world.blobPort}/${storageAccount.name}/models`;
  accountKey = {
    kind: "accountKey",
    accountName: storageAccount.name,
    accountKey: storageAccount.key,
    endpoint: new URL(store).host,
  };
});
beforeEach(() => {
  models += 1;
  name = `cats-${models}`;
  services.world.faults.forget();
});
afterEach(() => services.world.faults.clear());
afterAll(() => services?.close());

function opened(): ReturnType<typeof createContainers> {
  const { policy, agents, credentials } = services;
  return createContainers({ azureSuffixes: ["127.0.0.1"], policy, agents, credentials });
}

interface Keeping {
  readonly identity?: Identity;
  readonly version?: string;
  readonly verifiedSince?: number;
  readonly claimant?: string;
  readonly now?: () => number;
  readonly wrap?: (copies: ModelCopies) => ModelCopies;
}

/** A keeper as after a start of the operator. */
function keeper(digest: string, keeping: Keeping = {}): Source<KeptSeen> {
  const { identity = accountKey, version = "7", claimant = "uid-1", now = Date.now } = keeping;
  // Blob Storage has times of whole seconds.
  const { verifiedSince = Date.now() + 1000, wrap = (one) => one } = keeping;
  const open = opened();
  const tools = { models: createBlobStore(open), copies: wrap(createBlobCopies(open)) };
  const clock = { now };
  return modelKeeper(
    { ...tools, clock, sweep: createSweep({ ...tools, clock }) },
    { location: { store, name }, version, digest, verifiedSince, claimant },
    identity,
  );
}

function keep(digest: string, keeping?: Keeping): Promise<KeptSeen> {
  return keeper(digest, keeping).poll(undefined, AbortSignal.timeout(20_000));
}

async function sas(permissions: string): Promise<Identity> {
  const url = await container.generateSasUrl({
    permissions: ContainerSASPermissions.parse(permissions),
    expiresOn: new Date(Date.now() + 3600_000),
  });
  return { kind: "sas", sasToken: new URL(url).search.slice(1), endpoint: new URL(store).host };
}

async function blobs(prefix: string): Promise<readonly string[]> {
  const names: string[] = [];
  for await (const blob of container.listBlobsFlat({ prefix })) names.push(blob.name);
  return names.map((one) => one.slice(prefix.length)).toSorted();
}

const keptFolder = (digest: string): string => `${KEPT_FOLDER}/${keptVersionOf(digest)}/`;

async function claims(digest: string): Promise<readonly string[]> {
  const blob = container.getBlobClient(`${keptFolder(digest)}${MANIFEST}`);
  return Object.keys((await blob.getProperties()).metadata ?? {}).toSorted();
}

async function deleteVersion(): Promise<void> {
  for (const path of await blobs(`${name}/7/`)) await container.deleteBlob(`${name}/7/${path}`);
}

/** What a pod gets. */
async function pulled(digest: string): Promise<Readonly<Record<string, Buffer>>> {
  const folder = join(services.folder, `${name}-${Math.random()}`);
  const open = opened();
  await pull(
    { store, name, version: "7", digest, folder, identity: accountKey },
    {
      models: createBlobStore(open),
      container: open(store, accountKey),
      clock: systemClock,
      stallMs: 20_000,
      say: () => {},
    },
    AbortSignal.timeout(60_000),
  );
  const read = Object.keys(files).map(async (path) => [path, await readFile(join(folder, path))]);
  return Object.fromEntries(await Promise.all(read));
}

const bytes = Object.fromEntries(
  Object.entries(files).map(([path, content]) => [path, Buffer.from(content)]),
);

describe("a model version that is kept", () => {
  it.each<[string, () => Identity | Promise<Identity>]>([
    ["the account's key", () => accountKey],
    ["a SAS token that permits reading and writing", () => sas("rcwl")],
  ])("is copied by the store itself, with %s", async (_, identityOf) => {
    const digest = await publish(container, name, "7", files);
    const result = await keep(digest, { identity: await identityOf() });
    expect(result).toMatchObject({
      state: "Kept",
      message: `${store}/${keptFolder(digest).slice(0, -1)}`,
    });
    expect(await blobs(keptFolder(digest))).toEqual([...Object.keys(files), MANIFEST].toSorted());
    const data = services.world.faults
      .requests()
      .filter(({ path, method }) => path.includes("model.onnx") && method === "GET");
    expect(data).toEqual([]);
  });

  it("is written once: afterwards its keeper only reads", async () => {
    const digest = await publish(container, name, "7", files);
    await keep(digest);
    services.world.faults.forget();
    expect(await keep(digest)).toMatchObject({ state: "Kept" });
    const methods = services.world.faults.requests().map(({ method }) => method);
    expect(new Set(methods)).toEqual(new Set(["GET"]));
  });

  it("is pulled with the right bytes once it is deleted", async () => {
    const digest = await publish(container, name, "7", files);
    await keep(digest);
    await deleteVersion();
    expect(await pulled(digest)).toEqual(bytes);
    expect(await keep(digest)).toMatchObject({ state: "Kept" });
  });

  it.each<[string, () => Promise<unknown>]>([
    ["another version is published under its name", () => publish(container, name, "7")],
    ["a file is replaced", () => upload(container, `${name}/7`, { "model.onnx": "other" })],
    [
      "a file is replaced by one of its size",
      () => upload(container, `${name}/7`, { "model.onnx": randomBytes(300_000) }),
    ],
    ["a file is deleted", () => container.deleteBlob(`${name}/7/data/labels.txt`)],
    ["its manifest is deleted", () => container.deleteBlob(`${name}/7/${MANIFEST}`)],
    ["its manifest is damaged", () => upload(container, `${name}/7`, { [MANIFEST]: "{" })],
  ])("is pulled with the right bytes after %s", async (_, change) => {
    const digest = await publish(container, name, "7", files);
    await keep(digest);
    await change();
    expect(await pulled(digest)).toEqual(bytes);
  });

  it("is never pulled with wrong bytes: a damaged copy is refused", async () => {
    const digest = await publish(container, name, "7", files);
    await keep(digest);
    await deleteVersion();
    const folder = keptFolder(digest).slice(0, -1);
    await upload(container, folder, { "model.onnx": randomBytes(300_000) });
    expect(await errorOf(pulled(digest))).toMatchObject({ code: "MODEL_CHECKSUM_MISMATCH" });
  });

  it("is copied again where a file of the copy is deleted", async () => {
    const digest = await publish(container, name, "7", files);
    await keep(digest);
    await container.deleteBlob(`${keptFolder(digest)}model.onnx`);
    expect(await keep(digest)).toMatchObject({ state: "Kept" });
    await deleteVersion();
    expect(await pulled(digest)).toEqual(bytes);
  });

  it("is copied in parts when it has many files", async () => {
    const many = Object.fromEntries(
      Array.from({ length: 300 }, (_, index) => [`part-${index}`, `${index}`]),
    );
    const digest = await publish(container, name, "7", many);
    // The time that one poll may take does not pass.
    const now = (): number => 0;
    expect(await keep(digest, { now })).toMatchObject({ state: "Copying" });
    expect((await blobs(keptFolder(digest))).length).toBe(256);
    expect(await keep(digest, { now })).toMatchObject({ state: "Kept" });
    expect((await blobs(keptFolder(digest))).length).toBe(301);
  });

  it("does not appear among the versions of any model", async () => {
    const digest = await publish(container, name, "7", files);
    await keep(digest);
    const versions = await createBlobStore(opened()).listVersions(
      { store, name },
      accountKey,
      AbortSignal.timeout(20_000),
    );
    expect(versions).toEqual(["7"]);
  });
});

/** Ends the process at its n-th write: before the write, or after it took effect. */
function endAt(n: number, when: "before" | "after"): (copies: ModelCopies) => ModelCopies {
  let writes = 0;
  const counted = async <T>(write: () => Promise<T>): Promise<T> => {
    writes += 1;
    if (writes > n || (writes === n && when === "before")) throw new Error("the process ended");
    const result = await write();
    if (writes >= n) throw new Error("the process ended");
    return result;
  };
  return ({ copy, write, setMetadata, remove }) => ({
    copy: (...args) => counted(() => copy(...args)),
    write: (...args) => counted(() => write(...args)),
    setMetadata: (...args) => counted(() => setMetadata(...args)),
    remove: (...args) => counted(() => remove(...args)),
  });
}

describe("a process that ends while it copies", () => {
  const writes = Object.keys(files).length + 1;
  const points = Array.from({ length: writes }, (_, index) => index + 1).flatMap((n) => [
    [n, "before"] as const,
    [n, "after"] as const,
  ]);

  it.each(points)("at write %i, %s it, leaves what the next one completes", async (n, when) => {
    const digest = await publish(container, name, "7", files);
    await expect(keep(digest, { wrap: endAt(n, when) })).rejects.toThrow("the process ended");
    // The manifest is the last write: until then the copy does not count.
    const isWhole = (await blobs(keptFolder(digest))).includes(MANIFEST);
    expect(isWhole).toBe(n === writes && when === "after");
    expect(await keep(digest)).toMatchObject({ state: "Kept" });
    await deleteVersion();
    expect(await pulled(digest)).toEqual(bytes);
  });

  it("is no harm to another that copies the same at the same time", async () => {
    const digest = await publish(container, name, "7", files);
    const results = await Promise.all(
      ["uid-1", "uid-2", "uid-3"].map((claimant) => keep(digest, { claimant })),
    );
    expect(results.every(({ state }) => state === "Kept" || state === "Copying")).toBe(true);
    expect(await keep(digest)).toMatchObject({ state: "Kept" });
    await deleteVersion();
    expect(await pulled(digest)).toEqual(bytes);
  });

  it("takes no other app's claim away when both write the manifest", async () => {
    const digest = await publish(container, name, "7", files);
    // The first one has copied all, and is about to write the manifest when the second one does.
    const first = await keep(digest, {
      claimant: "first",
      wrap: (copies) => ({
        ...copies,
        write: async (...args) => {
          expect(await keep(digest, { claimant: "second" })).toMatchObject({ state: "Kept" });
          return copies.write(...args);
        },
      }),
    });
    expect(first).toMatchObject({ state: "Kept" });
    expect(await claims(digest)).toEqual(["claim_first", "claim_second"]);
  });

  it("leaves the claims on a copy of which a file is missing", async () => {
    const digest = await publish(container, name, "7", files);
    await keep(digest, { claimant: "first" });
    await container.deleteBlob(`${keptFolder(digest)}model.onnx`);
    expect(await keep(digest, { claimant: "second" })).toMatchObject({ state: "Kept" });
    expect(await claims(digest)).toEqual(["claim_first", "claim_second"]);
  });
});

describe("a model version that cannot be kept", () => {
  it.each<[string, () => Identity | Promise<Identity>, RegExp]>([
    ["a SAS token that permits only reading", () => sas("rl"), /SAS token .* sp=rcwdl/],
    ["no identity", () => ({ kind: "anonymous" }), /read anonymously/],
    [
      "a workload identity that may only read",
      () => reader,
      /ServiceAccount cats\/reader the role Storage Blob Data Contributor/,
    ],
  ])("with %s is reported, and is no error", async (_, identityOf, why) => {
    const digest = await publish(container, name, "7", files);
    if ((await identityOf()).kind === "anonymous") await container.setAccessPolicy("container");
    try {
      const result = await keep(digest, { identity: await identityOf() });
      expect(result).toMatchObject({ state: "Refused", message: expect.stringMatching(why) });
    } finally {
      await container.setAccessPolicy();
    }
    expect(await blobs(keptFolder(digest))).toEqual([]);
  });

  it("as a file was written after the release is not copied: its bytes are not known", async () => {
    const digest = await publish(container, name, "7", files);
    const result = await keep(digest, { verifiedSince: Date.now() - 10_000 });
    expect(result).toMatchObject({
      state: "Impossible",
      message: expect.stringMatching(/ was written again after the release/),
    });
    expect(await blobs(keptFolder(digest))).toEqual([]);
  });

  it("as a file of it is gone is lost", async () => {
    const digest = await publish(container, name, "7", files);
    await container.deleteBlob(`${name}/7/model.onnx`);
    expect(await keep(digest)).toMatchObject({
      state: "Lost",
      message: expect.stringMatching(/model.onnx is gone/),
    });
  });

  it("as it has no manifest is reported: no sha256 of its files is known", async () => {
    await upload(container, `${name}/7`, files);
    expect(await keep(`sha256:${"0".repeat(64)}`)).toMatchObject({
      state: "Impossible",
      message: expect.stringMatching(/has no manifest.json of the release's digest/),
    });
  });
});

describe("a copy that no app claims any more", () => {
  const later = (): number => Date.now() + CLAIM_MS + 60_000;
  // A sweep looks through a few copies only.
  beforeEach(async () => {
    for (const path of await blobs(".aiapp/")) await container.deleteBlob(`.aiapp/${path}`);
  });

  /** Another version in the same store is kept, at another time. */
  async function sweepBy(claimant: string, keeping: Keeping = {}): Promise<string> {
    const digest = await publish(container, name, "8", { "model.onnx": randomBytes(10) });
    await keep(digest, { version: "8", claimant, ...keeping });
    await keep(digest, { version: "8", claimant, ...keeping });
    return digest;
  }

  it("is deleted two weeks after the last claim", async () => {
    const digest = await publish(container, name, "7", files);
    await keep(digest);
    await sweepBy("uid-2");
    expect(await blobs(keptFolder(digest))).not.toEqual([]);
    const other = await sweepBy("uid-2", { now: later });
    expect(await blobs(keptFolder(digest))).toEqual([]);
    expect(await blobs(keptFolder(other))).not.toEqual([]);
  });

  it("stays when an app claims it again, or without the right to delete", async () => {
    const digest = await publish(container, name, "7", files);
    await keep(digest);
    await sweepBy("uid-2", { now: later, identity: await sas("rcwl") });
    expect(await blobs(keptFolder(digest))).not.toEqual([]);
    await keep(digest, { claimant: "uid-3", now: later });
    await sweepBy("uid-2", { now: later });
    expect(await blobs(keptFolder(digest))).not.toEqual([]);
  });

  it("stays when an app claims it between the listing and the deletion", async () => {
    const digest = await publish(container, name, "7", files);
    await keep(digest);
    const claimFirst = (copies: ModelCopies): ModelCopies => ({
      ...copies,
      remove: async (...args) => {
        if (args[1].path.startsWith(keptFolder(digest)))
          await keep(digest, { claimant: "uid-3", now: later, wrap: withoutDeletions });
        return copies.remove(...args);
      },
    });
    await sweepBy("uid-2", { now: later, wrap: claimFirst });
    expect((await blobs(keptFolder(digest))).length).toBe(Object.keys(files).length + 1);
  });
});

function withoutDeletions(copies: ModelCopies): ModelCopies {
  return { ...copies, remove: async () => "changed" };
}
