import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";

import { Manifest } from "../../crds/bundle.ts";
import { CliError } from "../errors.ts";
import type { TestStore, Verdict } from "./azurite.testing.ts";
import { account, accountKey, startProxy, startStore } from "./azurite.testing.ts";
import type { PublishEvent, PublishOptions, Published } from "./publish.ts";
import { publish } from "./publish.ts";

const MIB = 1024 * 1024;
const idle = new AbortController().signal;
const models = `${account}/models/digits`;

let store: TestStore;
let folder: string;
let version = 0;

beforeAll(async () => {
  store = await startStore();
});
afterAll(async () => store[Symbol.asyncDispose]());
beforeEach(async () => {
  version += 1;
  folder = await mkdtemp(join(tmpdir(), "aiapp-publish-"));
  await mkdir(join(folder, "samples"));
  await writeFile(join(folder, "model.onnx"), "weights");
  await writeFile(join(folder, "labels.txt"), "zero\none\n");
  await writeFile(join(folder, "samples", "1.json"), "{}");
});
afterEach(async () => rm(folder, { recursive: true }));

function options(origin: string, more: Partial<PublishOptions> = {}): PublishOptions {
  return {
    folder,
    to: `${origin}/${models}/${version}`,
    credential: { kind: "AccountKey", accountKey },
    now: () => Date.UTC(2026, 0, 2),
    retryPauseMs: 1,
    ...more,
  };
}

/** Publishes through a proxy that fails the requests that the test chooses. */
async function publishThrough(
  decide: (line: string, seen: readonly string[]) => Verdict,
  more: Partial<PublishOptions> = {},
): Promise<{ seen: readonly string[]; result?: Published; error?: CliError }> {
  await using proxy = await startProxy(store.origin, decide);
  try {
    return { seen: proxy.seen, result: await publish(options(proxy.origin, more), idle) };
  } catch (error) {
    if (error instanceof CliError) return { seen: proxy.seen, error };
    throw error;
  }
}

async function stored(path: string): Promise<Buffer> {
  const blob = store.service
    .getContainerClient("models")
    .getBlobClient(`digits/${version}/${path}`);
  return blob.downloadToBuffer();
}

async function storedPaths(): Promise<string[]> {
  const prefix = `digits/${version}/`;
  const paths: string[] = [];
  for await (const blob of store.service.getContainerClient("models").listBlobsFlat({ prefix })) {
    paths.push(blob.name.slice(prefix.length));
  }
  return paths;
}

async function failure(promise: Promise<unknown>): Promise<CliError> {
  return promise.then(
    () => {
      throw new Error("the promise did not reject");
    },
    (error: CliError) => error,
  );
}

describe("publishing a folder", () => {
  test("uploads the files first and the manifest last, each only if nothing is there", async () => {
    const { seen, result } = await publishThrough(() => "pass");
    const puts = seen.filter((line) => line.startsWith("PUT"));
    expect(puts.slice(0, 3).toSorted()).toEqual([
      `PUT /models/digits/${version}/labels.txt new`,
      `PUT /models/digits/${version}/model.onnx new`,
      `PUT /models/digits/${version}/samples/1.json new`,
    ]);
    expect(puts.slice(3)).toEqual([`PUT /models/digits/${version}/manifest.json new`]);
    expect(result).toMatchObject({ files: 3, uploaded: 3, bytes: 18, name: "digits" });
  });

  test("writes a manifest with every file's size and sha256, and returns the digest of its bytes", async () => {
    const { digest } = await publish(options(store.origin), idle);
    const bytes = await stored("manifest.json");
    const manifest = Manifest.parse(JSON.parse(bytes.toString()));
    expect(digest).toBe(`sha256:${createHash("sha256").update(bytes).digest("hex")}`);
    expect(manifest).toMatchObject({ name: "digits", version: String(version) });
    expect(manifest.createdAt).toBe("2026-01-02T00:00:00.000Z");
    expect(manifest.files.map((file) => file.path)).toEqual([
      "labels.txt",
      "model.onnx",
      "samples/1.json",
    ]);
    for (const file of manifest.files) {
      const content = await stored(file.path);
      expect(createHash("sha256").update(content).digest("hex")).toBe(file.sha256);
      expect(content.length).toBe(file.size);
    }
  });

  test("accepts empty files and every character that a bundle path may have", async () => {
    await writeFile(join(folder, "empty_.@+=,-1"), "");
    await publish(options(store.origin), idle);
    expect(await stored("empty_.@+=,-1")).toHaveLength(0);
  });

  test("refuses to overwrite a published version that has other files", async () => {
    const { digest } = await publish(options(store.origin), idle);
    await writeFile(join(folder, "model.onnx"), "other weights");
    const error = await failure(publish(options(store.origin), idle));
    expect(error).toMatchObject({ code: "AlreadyPublished" });
    expect(error.fix).toContain("new version");
    expect((await stored("model.onnx")).toString()).toBe("weights");
    const manifest = createHash("sha256")
      .update(await stored("manifest.json"))
      .digest("hex");
    expect(`sha256:${manifest}`).toBe(digest);
  });

  test("reports that there is nothing to do for a version that is published with the same files", async () => {
    await publish(options(store.origin), idle);
    const error = await failure(publish(options(store.origin), idle));
    expect(error).toMatchObject({ code: "AlreadyPublished" });
    expect(error.fix).toContain("nothing to do");
  });

  test("finishes an interrupted publish, and sends only the missing files", async () => {
    const cut = await publishThrough(
      (line) => (line.includes("samples") ? { status: 403 } : "pass"),
      { parallel: 1 },
    );
    expect(cut.error).toMatchObject({ code: "StorageAuthFailed" });
    expect(await storedPaths()).toEqual(["labels.txt", "model.onnx"]);

    const { seen, result } = await publishThrough(() => "pass");
    expect(result).toMatchObject({ files: 3, uploaded: 1 });
    expect(seen.filter((line) => line.startsWith("PUT"))).toEqual([
      `PUT /models/digits/${version}/samples/1.json new`,
      `PUT /models/digits/${version}/manifest.json new`,
    ]);
  });

  test("finishes an interrupted upload of a large file without sending its staged blocks again", async () => {
    await writeFile(join(folder, "model.onnx"), Buffer.alloc(20 * MIB, "abc"));
    const staging = (line: string): boolean => line.endsWith("model.onnx?comp=block");
    const cut = await publishThrough(
      (line, seen) => (staging(line) && seen.filter(staging).length > 2 ? { status: 403 } : "pass"),
      { parallel: 1 },
    );
    expect(cut.error).toMatchObject({ code: "StorageAuthFailed" });

    const { seen, result } = await publishThrough(() => "pass");
    expect(seen.filter(staging)).toHaveLength(1);
    expect(result).toMatchObject({ files: 3 });
    expect((await stored("model.onnx")).equals(Buffer.alloc(20 * MIB, "abc"))).toBe(true);
  });

  test("refuses to finish an unfinished version with a changed file", async () => {
    await publishThrough((line) => (line.includes("manifest.json") ? { status: 403 } : "pass"));
    await writeFile(join(folder, "model.onnx"), "WEIGHTS");
    const error = await failure(publish(options(store.origin), idle));
    expect(error).toMatchObject({ code: "PublishConflict" });
    expect(error.message).toContain("model.onnx");
    expect(await storedPaths()).not.toContain("manifest.json");
  });

  test("refuses to finish an unfinished version with a file that the folder lacks", async () => {
    await publishThrough((line) => (line.includes("manifest.json") ? { status: 403 } : "pass"));
    await rm(join(folder, "labels.txt"));
    const error = await failure(publish(options(store.origin), idle));
    expect(error).toMatchObject({ code: "PublishConflict" });
    expect(error.message).toContain("labels.txt");
  });

  test("refuses a blob that another program wrote, because its sha256 is unknown", async () => {
    await store.service
      .getContainerClient("models")
      .getBlockBlobClient(`digits/${version}/model.onnx`)
      .upload("weights", 7);
    const error = await failure(publish(options(store.origin), idle));
    expect(error).toMatchObject({ code: "PublishConflict" });
    expect(error.message).toContain("aiapp publish did not write it");
  });

  test("keeps the digest of a bundle that has its own manifest", async () => {
    const { digest } = await publish(options(store.origin), idle);
    await writeFile(join(folder, "manifest.json"), await stored("manifest.json"));
    await store.service.createContainer(`copy-${version}`);
    const to = `${store.origin}/${account}/copy-${version}/digits/${version}`;
    const copy = await publish({ ...options(store.origin), to, now: () => 0 }, idle);
    expect(copy.digest).toBe(digest);
  });

  test("refuses a bundle that does not match its own manifest", async () => {
    await publish(options(store.origin), idle);
    await writeFile(join(folder, "manifest.json"), await stored("manifest.json"));
    await writeFile(join(folder, "labels.txt"), "damaged\n");
    version += 1;
    const error = await failure(publish(options(store.origin), idle));
    expect(error).toMatchObject({ code: "BundleInvalid" });
    expect(error.message).toContain("labels.txt");
    expect(await storedPaths()).toEqual([]);
  });
});

describe("two publishers at once", () => {
  test("with different content: one wins, the other is refused, and the version is consistent", async () => {
    const other = await mkdtemp(join(tmpdir(), "aiapp-publish-"));
    try {
      for (const path of ["model.onnx", "labels.txt"]) {
        await writeFile(join(other, path), `other ${path}`);
      }
      const results = await Promise.allSettled([
        publish(options(store.origin), idle),
        publish(options(store.origin, { folder: other }), idle),
      ]);
      const errors = results.filter((result) => result.status === "rejected");
      expect(errors.length).toBeGreaterThanOrEqual(1);
      for (const { reason } of errors) {
        expect(["PublishConflict", "AlreadyPublished"]).toContain(reason.code);
      }
      if ((await storedPaths()).includes("manifest.json")) await expectWhole();
    } finally {
      await rm(other, { recursive: true });
    }
  });

  test("with the same files: the version is consistent, and the second publisher gets AlreadyPublished", async () => {
    const results = await Promise.allSettled([
      publish(options(store.origin), idle),
      publish(options(store.origin, { now: () => 0 }), idle),
    ]);
    const done = results.filter((result) => result.status === "fulfilled");
    expect(done).toHaveLength(1);
    const [failed] = results.filter((result) => result.status === "rejected");
    expect(failed?.reason).toMatchObject({ code: "AlreadyPublished" });
    await expectWhole();
  });

  async function expectWhole(): Promise<void> {
    const manifest = Manifest.parse(JSON.parse((await stored("manifest.json")).toString()));
    for (const file of manifest.files) {
      const sha256 = createHash("sha256")
        .update(await stored(file.path))
        .digest("hex");
      expect(sha256).toBe(file.sha256);
    }
  }
});

describe("network and storage faults", () => {
  test.each([
    ["a connection that is reset", "cut"],
    ["a server that is busy", { status: 503 }],
    ["a response that is lost after the store has applied the request", "loseResponse"],
    ["a request that transfers no data", "stall"],
  ] as const)("publish retries %s", async (_what, verdict) => {
    const broken = new Set<string>();
    const events: PublishEvent[] = [];
    await writeFile(join(folder, "weights.bin"), Buffer.alloc(9 * MIB));
    const { result } = await publishThrough(
      (line) => {
        if (broken.has(line)) return "pass";
        broken.add(line);
        return verdict;
      },
      { stallMs: 1_000, report: (event) => events.push(event) },
    );
    expect(result).toMatchObject({ files: 4 });
    expect(events.filter((event) => event.kind === "retry").length).toBeGreaterThanOrEqual(5);
    expect(await storedPaths()).toContain("manifest.json");
  });

  test("publish gives up after a bounded number of attempts, and writes no manifest", async () => {
    const { error, seen } = await publishThrough(
      (line) => (line.endsWith("model.onnx") ? "stall" : "pass"),
      { stallMs: 100, attempts: 3 },
    );
    expect(error).toMatchObject({ code: "StorageUnavailable" });
    expect(error?.message).toContain("no data transferred");
    expect(seen.filter((line) => line.endsWith("model.onnx new"))).toHaveLength(3);
    expect(await storedPaths()).not.toContain("manifest.json");
  });

  test("an abort ends the publish, and another run finishes it", async () => {
    const stop = new AbortController();
    {
      await using proxy = await startProxy(store.origin, (line) => {
        if (!line.startsWith("PUT")) return "pass";
        stop.abort();
        return "stall";
      });
      const error = await failure(publish(options(proxy.origin), stop.signal));
      expect(error).toMatchObject({ name: "AbortError" });
    }
    expect(await publish(options(store.origin), idle)).toMatchObject({ files: 3 });
  });

  test("a missing container is an error with the command that creates it", async () => {
    const to = `${store.origin}/${account}/nothere/digits/1`;
    const error = await failure(publish(options(store.origin, { to }), idle));
    expect(error).toMatchObject({ code: "ContainerNotFound" });
    expect(error.fix).toContain("az storage container create");
  });

  test("publish does not retry a wrong key", async () => {
    const accountKey = Buffer.from("wrong").toString("base64");
    const { error, seen } = await publishThrough(() => "pass", {
      credential: { kind: "AccountKey", accountKey },
    });
    expect(error).toMatchObject({ code: "StorageAuthFailed" });
    expect(seen).toHaveLength(1);
  });

  test("publish stops before the manifest when a file changes during the upload", async () => {
    function report(event: PublishEvent): void {
      if (event.kind === "phase" && event.phase === "Uploading") {
        writeFileSync(join(folder, "model.onnx"), "WEIGHTS");
      }
    }
    const error = await failure(publish(options(store.origin, { report }), idle));
    expect(error).toMatchObject({ code: "FileChanged" });
    expect(error.message).toContain("model.onnx");
    expect(await storedPaths()).not.toContain("manifest.json");
  });
});
