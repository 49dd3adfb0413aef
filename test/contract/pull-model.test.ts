import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:net";
import { mkdir, readdir, readFile, stat, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { text } from "node:stream/consumers";

import type { ContainerClient } from "@azure/storage-blob";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";

import { MANIFEST } from "../../crds/bundle.ts";
import type { Clock } from "../../operator/clock.ts";
import { pull } from "../../operator/pull-model/pull.ts";
import { createContainers } from "../../operator/sources/model/blob-container.ts";
import { createBlobStore } from "../../operator/sources/model/blob-store.ts";
import type { Identity } from "../../operator/sources/identity.ts";
import { listingDigest, sha256 } from "../../operator/sources/model/manifest.ts";
import { accountClient, storageAccount } from "../support/azurite.ts";
import type { FaultInput, Recorded } from "../support/faults.ts";
import { manifestOf, publish, upload, type Files } from "./publish.ts";
import { errorOf, reader, startServices, type Services } from "./services.ts";

/** How a model version gets into a pod, from a real Blob Storage with faults in front of it. */

let accountKey: Extract<Identity, { kind: "accountKey" }>;
/** More than one range. */
const weights = randomBytes(9_000_000);
const files: Files = {
  "model.onnx": weights,
  "config.json": "{}",
  "data/labels.txt": "cat\ndog\n",
  empty: "",
};

let services: Services;
/** The container behind all faults, with full rights. */
let container: ContainerClient;
let store: string;
let models = 0;
/** A model that no other test uses. */
let name: string;
/** Where it is to go: not there yet. */
let folder: string;

beforeAll(async () => {
  services = await startServices();
  const { world } = services;
  container = accountClient(world.behind.blob).getContainerClient("models");
  accountKey = {
    kind: "accountKey",
    accountName: storageAccount.name,
    accountKey: storageAccount.key,
    endpoint: `127.0.0.1:${world.blobPort}`,
  };
  store = `https://127.0.0.1:${world.blobPort}/${storageAccount.name}/models`;
});
beforeEach(() => {
  models += 1;
  name = `cats-${models}`;
  folder = join(services.folder, name, "model");
  services.world.faults.forget();
});
afterEach(() => services.world.faults.clear());
afterAll(() => services?.close());

function fault(action: FaultInput["action"], where: Partial<FaultInput> = {}): void {
  services.world.faults.add({
    service: "blob",
    method: "GET",
    path: "model.onnx",
    ...where,
    action,
  });
}

function opened(): ReturnType<typeof createContainers> {
  const { policy, agents, credentials } = services;
  return createContainers({ azureSuffixes: ["127.0.0.1"], policy, agents, credentials });
}

/** A clock that waits for nothing, and remembers how long it would have been. */
function hasty(): Clock & { readonly waits: readonly number[] } {
  const waits: number[] = [];
  return {
    waits,
    now: () => Date.now(),
    random: () => 0.5,
    after: (ms, callback) => {
      waits.push(ms);
      const timer = setTimeout(callback, 10);
      return () => clearTimeout(timer);
    },
  };
}

interface Options {
  readonly identity?: Identity;
  readonly clock?: Clock;
  readonly stallMs?: number;
  readonly signal?: AbortSignal;
}

function pulling(
  digest: string,
  { identity = accountKey, clock = hasty(), stallMs = 20_000, signal }: Options = {},
): Promise<void> {
  const open = opened();
  return pull(
    { store, name, version: "7", digest, folder, identity },
    {
      models: createBlobStore(open),
      container: open(store, identity),
      clock,
      stallMs,
      say: () => {},
    },
    signal ?? new AbortController().signal,
  );
}

type Hashes = Readonly<Record<string, string>>;

function hashesOf(of: Files): Hashes {
  return Object.fromEntries(Object.entries(of).map(([path, content]) => [path, sha256(content)]));
}

/** The sha256 of all files below the folder. */
async function found(): Promise<Hashes> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = entries.filter((entry) => entry.isFile()).map((e) => join(e.parentPath, e.name));
  const hashes = await Promise.all(
    paths.map(async (path) => [path.slice(folder.length + 1), sha256(await readFile(path))]),
  );
  return Object.fromEntries(hashes);
}

/** All files and the manifest. */
function published(): Hashes {
  return hashesOf({ ...files, [MANIFEST]: manifestOf(name, "7", files) });
}

/** The requests for bytes of the big file, as first and last byte. */
function ranges(): readonly (readonly [number, number])[] {
  const ofModel = ({ method, path }: Recorded): boolean =>
    method === "GET" && path.includes("model.onnx");
  return services.world.faults
    .requests()
    .filter(ofModel)
    .map(({ range = "" }) => {
      const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(range) ?? [];
      return [Number(first), Number(last)];
    });
}

function bytesAsked(): number {
  return ranges().reduce((sum, [first, last]) => sum + last - first + 1, 0);
}

describe("a version with a manifest", () => {
  it("is pulled into a folder that was not there, with every byte as published", async () => {
    await pulling(await publish(container, name, "7", files));
    expect(await found()).toEqual(published());
    expect(bytesAsked()).toBe(weights.length);
    expect(ranges()).toHaveLength(2);
  });

  it("is pulled by a workload identity", async () => {
    await pulling(await publish(container, name, "7", files), { identity: reader });
    expect(await found()).toEqual(published());
  });

  it("costs the manifest alone when all of it is there already", async () => {
    const digest = await publish(container, name, "7", files);
    await pulling(digest);
    services.world.faults.forget();
    await pulling(digest);
    expect(services.world.faults.requests()).toEqual([
      expect.objectContaining({ path: expect.stringContaining(`/7/${MANIFEST}`) }),
    ]);
    expect(await found()).toEqual(published());
  });

  it("is made whole again when a file in the folder was spoiled", async () => {
    const digest = await publish(container, name, "7", files);
    await pulling(digest);
    const spoiled = Buffer.from(weights);
    spoiled[4_000_000] = 0xff ^ (spoiled[4_000_000] ?? 0);
    await writeFile(join(folder, "model.onnx"), spoiled);
    await pulling(digest);
    expect(await found()).toEqual(published());
  });

  it("is refused when its digest is not that of the release", async () => {
    const digest = await publish(container, name, "7", files);
    await publish(container, name, "7", { "model.onnx": "other weights" });
    const error = await errorOf(pulling(digest));
    expect(error.code).toBe("MODEL_CHECKSUM_MISMATCH");
    expect(await found()).toEqual({});
  });

  it.each<{ what: string; content: Buffer }>([
    { what: "bytes", content: Buffer.from(weights).fill(0, 0, 1) },
    { what: "length", content: weights.subarray(1) },
  ])("is refused when a file has other $what than it says", async ({ content }) => {
    const digest = await publish(container, name, "7", files);
    await upload(container, `${name}/7`, { "model.onnx": content });
    const error = await errorOf(pulling(digest));
    expect(error.code).toBe("MODEL_CHECKSUM_MISMATCH");
    expect(error.message).toContain(`${store}/${name}/7/model.onnx`);
    const there = await found();
    expect(there).not.toHaveProperty(["model.onnx"]);
    expect(there).not.toHaveProperty([MANIFEST]);
  });

  it("is refused when a file was replaced while it was pulled", async () => {
    const digest = await publish(container, name, "7", files);
    fault({ kind: "status", status: 503 }, { times: 1 });
    const held = Promise.withResolvers<() => void>();
    const after: Clock["after"] = (_, callback) => {
      held.resolve(callback);
      return () => {};
    };
    const pulled = errorOf(pulling(digest, { clock: { ...hasty(), after } }));
    const goOn = await held.promise;
    await upload(container, `${name}/7`, { "model.onnx": Buffer.from(weights).reverse() });
    goOn();
    expect((await pulled).code).toBe("MODEL_CHECKSUM_MISMATCH");
    expect(await found()).not.toHaveProperty(["model.onnx"]);
  });

  it("is refused when a file that it lists is not there", async () => {
    const digest = await publish(container, name, "7", files);
    await container.deleteBlob(`${name}/7/model.onnx`);
    const error = await errorOf(pulling(digest));
    expect(error.code).toBe("MODEL_NOT_FOUND");
    expect(error.message).toContain("model.onnx");
  });

  it.each(["../x", "data/../../x", "/x", "data//x", "a\\..\\x", "."])(
    "is refused when it lists the path %s",
    async (path) => {
      const manifest = manifestOf(name, "7", { "model.onnx": "weights", [path]: "weights" });
      await upload(container, `${name}/7`, { "model.onnx": "weights", [MANIFEST]: manifest });
      const error = await errorOf(pulling(`sha256:${sha256(manifest)}`));
      expect(error.code).toBe("MANIFEST_INVALID");
      expect(await readdir(dirname(folder), { recursive: true })).toEqual(["model"]);
    },
  );

  it("that needs more than the disk has is refused before anything is pulled", async () => {
    const manifest = Buffer.from(
      JSON.stringify({
        formatVersion: 1,
        name,
        version: "7",
        files: [{ path: "model.onnx", size: Number.MAX_SAFE_INTEGER, sha256: sha256("") }],
      }),
    );
    await upload(container, `${name}/7`, { [MANIFEST]: manifest });
    const error = await errorOf(pulling(`sha256:${sha256(manifest)}`));
    expect(error.message).toContain("the node's disk has");
    expect(ranges()).toEqual([]);
  });
});

describe("a folder without a manifest", () => {
  async function listed(): Promise<string> {
    const found = await createBlobStore(opened()).listFiles(
      { store, name },
      "7",
      accountKey,
      AbortSignal.timeout(20_000),
    );
    return listingDigest(found);
  }

  it("is pulled as it was listed", async () => {
    await upload(container, `${name}/7`, files);
    await pulling(await listed());
    expect(await found()).toEqual(hashesOf(files));
  });

  it("is refused when a file was replaced since", async () => {
    await upload(container, `${name}/7`, files);
    const digest = await listed();
    await upload(container, `${name}/7`, { "config.json": "[]" });
    expect((await errorOf(pulling(digest))).code).toBe("MODEL_CHECKSUM_MISMATCH");
    expect(await found()).toEqual({});
  });

  it("is refused when it has a file whose name is no path", async () => {
    await upload(container, `${name}/7`, { "model.onnx": "weights", "a name": "" });
    const error = await errorOf(pulling(await listed()));
    expect(error.code).toBe("MANIFEST_INVALID");
    expect(error.message).toContain('"a name"');
  });

  it("is pulled without the folder markers of a hierarchical namespace", async () => {
    await upload(container, `${name}/7`, { "model.onnx": "weights", "extra/a.txt": "a" });
    const marker = container.getBlockBlobClient(`${name}/7/extra`);
    await marker.upload("", 0, { metadata: { hdi_isfolder: "true" } });
    await pulling(await listed());
    expect(await found()).toEqual(hashesOf({ "model.onnx": "weights", "extra/a.txt": "a" }));
  });

  it("is refused when a file and a folder have the same name", async () => {
    await upload(container, `${name}/7`, { extra: "a file", "extra/a.txt": "a" });
    const error = await errorOf(pulling(await listed()));
    expect(error.code).toBe("MANIFEST_INVALID");
    expect(error.message).toContain('"extra"');
  });

  it("is reported when it is no longer there", async () => {
    expect((await errorOf(pulling(`sha256:${sha256("")}`))).code).toBe("MODEL_NOT_FOUND");
  });
});

describe("a store that misbehaves", () => {
  let digest: string;
  beforeEach(async () => {
    digest = await publish(container, name, "7", files);
  });

  it("cuts a download: the pull continues from there", async () => {
    fault({ kind: "cut", afterBytes: 3_000_000 }, { times: 1 });
    await pulling(digest);
    expect(await found()).toEqual(published());
    const [whole, rest] = ranges();
    expect(whole).toEqual([0, 8 * 1024 * 1024 - 1]);
    expect(rest?.[0]).toBeGreaterThan(0);
    expect(rest?.[0]).toBeLessThanOrEqual(3_000_000);
    expect(bytesAsked()).toBeLessThan(2 * weights.length);
  });

  it("cuts every download after a while: all files arrive", async () => {
    fault({ kind: "cut", afterBytes: 700_000 });
    await pulling(digest);
    expect(await found()).toEqual(published());
    expect(ranges().length).toBeGreaterThan(10);
  });

  it("stalls in a download: the rest is requested again", async () => {
    fault({ kind: "stall", afterBytes: 3_000_000 }, { times: 1 });
    await pulling(digest, { stallMs: 1000 });
    expect(await found()).toEqual(published());
    expect(ranges()[1]?.[0]).toBeGreaterThan(0);
    expect(bytesAsked()).toBeLessThan(2 * weights.length);
  });

  it.each<{ where: string; method: string; path: string }>([
    { where: "before the first byte", method: "GET", path: "model.onnx" },
    { where: "when asked for the file's ETag", method: "HEAD", path: "model.onnx" },
    { where: "when asked for the manifest", method: "GET", path: MANIFEST },
  ])(
    "stalls $where: the request is sent again",
    async ({ method, path }) => {
      fault({ kind: "stall" }, { method, path, times: 1 });
      await pulling(digest, { stallMs: 1000 });
      expect(await found()).toEqual(published());
    },
    30_000,
  );

  it("stalls for good: the error says so", async () => {
    fault({ kind: "stall" });
    const error = await errorOf(pulling(digest, { stallMs: 500 }));
    expect(error.code).toBe("STORAGE_UNAVAILABLE");
    expect(error.message).toContain("no byte arrived for 0.5 s");
    expect(ranges().length).toBeGreaterThan(1);
  }, 30_000);

  it.each<{ method: string; path: string }>([
    { method: "GET", path: "model.onnx" },
    { method: "HEAD", path: "model.onnx" },
    { method: "GET", path: MANIFEST },
  ])("is busy at $method $path: it is asked again, when it said", async ({ method, path }) => {
    const headers = { "retry-after": "17", "x-ms-error-code": "ServerBusy" };
    fault({ kind: "status", status: 503, headers }, { method, path, times: 2 });
    const clock = hasty();
    await pulling(digest, { clock });
    expect(await found()).toEqual(published());
    expect(clock.waits).toEqual([17_000, 17_000]);
  });

  it("sends other bytes: nothing of them is kept, and the next pull is right", async () => {
    fault({ kind: "corrupt" });
    const error = await errorOf(pulling(digest));
    expect(error.code).toBe("MODEL_CHECKSUM_MISMATCH");
    expect(await found()).not.toHaveProperty(["model.onnx"]);
    services.world.faults.clear();
    await pulling(digest);
    expect(await found()).toEqual(published());
  });

  it("sends more than was requested: the pull stops, and no byte past the range is on the disk", async () => {
    const small = manifestOf(name, "7", { "model.onnx": "0123456789" });
    await upload(container, `${name}/7`, { "model.onnx": "0123456789", [MANIFEST]: small });
    const { etag = "" } = await container.getBlobClient(`${name}/7/model.onnx`).getProperties();
    fault({
      kind: "status",
      status: 206,
      headers: { etag, "content-length": "10000000" },
      body: "0123456789".repeat(1_000_000),
    });
    const error = await errorOf(pulling(`sha256:${sha256(small)}`));
    expect(error.code).toBe("STORAGE_UNEXPECTED_RESPONSE");
    expect(ranges()).toHaveLength(1);
    const sizes = await Promise.all(
      (await readdir(folder)).map(async (file) => (await stat(join(folder, file))).size),
    );
    expect(Math.max(...sizes)).toBeLessThanOrEqual(10);
  });

  it("refuses a wrong key: the pull fails at once, and the error does not hold the key", async () => {
    const wrong = Buffer.from("a key that opens nothing at all").toString("base64");
    const error = await errorOf(
      pulling(digest, { identity: { ...accountKey, accountKey: wrong } }),
    );
    expect(error.code).toBe("STORAGE_AUTH_FAILED");
    expect(error.message).not.toContain(wrong);
    expect(services.world.faults.requests()).toHaveLength(1);
  });
});

describe("a container that is started again", () => {
  it("continues where the last one stopped", async () => {
    const digest = await publish(container, name, "7", files);
    fault({ kind: "stall", afterBytes: 3_000_000 });
    const stop = new AbortController();
    const stopped = errorOf(pulling(digest, { signal: stop.signal }));
    const partial = async (): Promise<number> => {
      const names = await readdir(folder);
      const part = names.find((one) => /^model\.onnx\..+\.part$/.test(one)) ?? "";
      return (await stat(join(folder, part))).size;
    };
    await vi.waitFor(async () => expect(await partial()).toBeGreaterThan(1_000_000), {
      timeout: 20_000,
    });
    stop.abort(new Error("the pod is being deleted"));
    await stopped;
    const have = await partial();

    services.world.faults.clear();
    services.world.faults.forget();
    await pulling(digest);
    expect(await found()).toEqual(published());
    expect(bytesAsked()).toBe(weights.length - have);
  });
});

describe("a disk that is full", () => {
  it("is reported as such, without a retry", async () => {
    const digest = await publish(container, name, "7", files);
    const { etag = "" } = await container.getBlobClient(`${name}/7/model.onnx`).getProperties();
    await mkdir(folder, { recursive: true });
    const partial = `model.onnx.${etag.replace(/[^A-Za-z0-9]/g, "")}.part`;
    await symlink("/dev/full", join(folder, partial));
    await expect(pulling(digest)).rejects.toMatchObject({ code: "ENOSPC" });
    expect(ranges()).toHaveLength(1);
  });
});

describe("the init container", () => {
  const program = join(import.meta.dirname, "../../operator/pull-model/main.ts");

  function start(environment: Readonly<Record<string, string>>): {
    readonly child: ReturnType<typeof spawn>;
    readonly ended: Promise<{ code: number | null; log: string; termination: string }>;
  } {
    const terminationLog = join(services.folder, `${name}.termination`);
    // As the pod's template sets it, and what only holds on loopback.
    const env = {
      MODEL_STORE: store,
      MODEL_NAME: name,
      MODEL_VERSION: "7",
      MODEL_DIR: folder,
      STORAGE_IDENTITY: "Secret",
      STORAGE_ACCOUNT_NAME: storageAccount.name,
      STORAGE_ACCOUNT_KEY: storageAccount.key,
      STORAGE_ENDPOINT: new URL(store).host,
      CA_BUNDLE: services.policy.caBundle,
      ALLOW_LOOPBACK: "true",
      TERMINATION_LOG: terminationLog,
      ...environment,
    };
    const child = spawn(process.execPath, [program], { env, stdio: ["ignore", "pipe", "pipe"] });
    const run = async (): Promise<{ code: number | null; log: string; termination: string }> => {
      const exited = once(child, "exit");
      const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)]);
      await exited;
      const termination = await readFile(terminationLog, "utf8").catch(() => "");
      return { code: child.exitCode, log: out + err, termination };
    };
    return { child, ended: run() };
  }

  it("pulls the model and exits with 0 and no termination message", async () => {
    const digest = await publish(container, name, "7", files);
    const { code, log, termination } = await start({ MODEL_DIGEST: digest }).ended;
    expect({ code, termination }).toEqual({ code: 0, termination: "" });
    expect(log).toContain("all checksums match");
    expect(await found()).toEqual(published());
  });

  it("leaves the reason and what to do in the termination message, and no key", async () => {
    const digest = await publish(container, name, "7", files);
    const wrong = Buffer.from("a key that opens nothing at all").toString("base64");
    const { code, log, termination } = await start({
      MODEL_DIGEST: digest,
      STORAGE_ACCOUNT_KEY: wrong,
    }).ended;
    expect(code).toBe(1);
    expect(termination).toMatch(/^StorageAuthFailed: .*check the key/);
    expect(log + termination).not.toContain(wrong);
  });

  it("names a checksum that is wrong", async () => {
    const digest = await publish(container, name, "7", files);
    await upload(container, `${name}/7`, { "config.json": "[]" });
    const { code, termination } = await start({ MODEL_DIGEST: digest }).ended;
    expect(code).toBe(1);
    expect(termination).toMatch(/^ModelChecksumMismatch: .*config\.json/);
  });

  it("names a variable that is missing", async () => {
    const { code, termination } = await start({}).ended;
    expect(code).toBe(1);
    expect(termination).toMatch(/^ModelPullFailed: [^]*MODEL_DIGEST/);
  });

  it("does not connect to the node that it runs on", async () => {
    const digest = await publish(container, name, "7", files);
    const { termination } = await start({ MODEL_DIGEST: digest, ALLOW_LOOPBACK: "false" }).ended;
    expect(termination).toMatch(/^HostNotAllowed: /);
  });

  it("retries while the store refuses connections, and says so when the pod is deleted", async () => {
    const closed = createServer().listen(0, "127.0.0.1");
    await once(closed, "listening");
    const address = closed.address();
    const port = typeof address === "object" ? address?.port : undefined;
    closed.close();
    await once(closed, "close");
    const { child, ended } = start({
      MODEL_DIGEST: `sha256:${sha256("")}`,
      MODEL_STORE: `https://127.0.0.1:${port}/${storageAccount.name}/models`,
      STORAGE_ENDPOINT: `127.0.0.1:${port}`,
    });
    let log = "";
    child.stdout?.on("data", (chunk: Buffer) => (log += chunk.toString()));
    await vi.waitFor(() => expect(log).toContain("(attempt 2 of 8)"), { timeout: 20_000 });
    child.kill("SIGTERM");
    const { code, termination } = await ended;
    expect(code).toBe(1);
    expect(termination).toMatch(/^StorageUnavailable: /);
  }, 30_000);

  it("ends when the pod is deleted, though the store stalls", async () => {
    const digest = await publish(container, name, "7", files);
    fault({ kind: "stall", afterBytes: 1000 });
    const { child, ended } = start({ MODEL_DIGEST: digest });
    await vi.waitFor(() => expect(ranges().length).toBeGreaterThan(0), { timeout: 20_000 });
    child.kill("SIGTERM");
    expect((await ended).code).toBe(1);
  }, 30_000);
});
