import { once } from "node:events";
import { createServer } from "node:net";

import { ContainerSASPermissions, type ContainerClient } from "@azure/storage-blob";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";

import { MANIFEST, MAX_MANIFEST_BYTES } from "../../crds/bundle.ts";
import { systemClock } from "../../operator/clock.ts";
import { createLogger } from "../../operator/log.ts";
import { createMetrics } from "../../operator/metrics.ts";
import { createContainers } from "../../operator/sources/model/blob-container.ts";
import { createBlobStore } from "../../operator/sources/model/blob-store.ts";
import { createAgents, type HostPolicy } from "../../operator/sources/hosts.ts";
import { storageIdentity, type Identity } from "../../operator/sources/identity.ts";
import { modelSource } from "../../operator/sources/model/model-source.ts";
import { createPoller } from "../../operator/sources/poller.ts";
import type { ModelSeen, Source } from "../../operator/sources/source.ts";
import { parseSelector } from "../../crds/grammar/selector.ts";
import type { VersionOrder } from "../../crds/grammar/version-kind.ts";
import { accountClient, storageAccount } from "../support/azurite.ts";
import type { FaultInput } from "../support/faults.ts";
import { manifestOf, publish, upload } from "./publish.ts";
import { errorOf, reader, startServices, stranger, timedOut, type Services } from "./services.ts";

/** What the operator asks of Blob Storage, against a real one with faults in front of it. */

let accountKey: Extract<Identity, { kind: "accountKey" }>;
const anonymous: Identity = { kind: "anonymous" };

let services: Services;
/** The container behind all faults, with full rights. */
let container: ContainerClient;
/** The container as AIApps name it. */
let store: string;
let models = 0;
/** A model that no other test uses. */
let name: string;

beforeAll(async () => {
  services = await startServices();
  container = accountClient(services.world.behind.blob).getContainerClient("models");
  store = storeOf("models");
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
});
afterEach(() => services.world.faults.clear());
afterAll(() => services?.close());

function storeOf(containerName: string, host = "127.0.0.1"): string {
  return `https://${host}:${services.world.blobPort}/${storageAccount.name}/${containerName}`;
}

interface Query {
  readonly version: string | number;
  readonly identity?: Identity;
  readonly order?: VersionOrder;
  readonly requireManifest?: boolean;
  readonly from?: string;
  readonly policy?: HostPolicy;
  readonly azureSuffixes?: readonly string[];
}

/** A source as after a start of the operator: nothing seen, no token held. */
function source({
  version,
  identity = accountKey,
  order = "Auto",
  requireManifest,
  from = store,
  policy,
  azureSuffixes = ["127.0.0.1"],
}: Query): Source<ModelSeen> {
  const { agents, credentials } = services;
  const open = createContainers({
    azureSuffixes,
    policy: policy ?? services.policy,
    agents: policy === undefined ? agents : createAgents(policy),
    credentials,
  });
  const selector = parseSelector(version);
  return modelSource(
    createBlobStore(open),
    {
      location: { store: from, name },
      selector,
      order,
      requireManifest: requireManifest ?? selector.kind !== "exact",
    },
    identity,
  );
}

function bounded(): AbortSignal {
  return AbortSignal.timeout(20_000);
}

function poll(query: Query, previous?: ModelSeen, signal = bounded()): Promise<ModelSeen> {
  return source(query).poll(previous, signal);
}

function sas(
  expiresOn = new Date(Date.now() + 3600_000),
  permissions = "rl",
): Promise<Extract<Identity, { kind: "sas" }>> {
  return container
    .generateSasUrl({ permissions: ContainerSASPermissions.parse(permissions), expiresOn })
    .then((url) => ({
      kind: "sas",
      sasToken: new URL(url).search.slice(1),
      endpoint: new URL(store).host,
    }));
}

function fault(action: FaultInput["action"], where: Partial<FaultInput> = {}): void {
  services.world.faults.add({ service: "blob", ...where, action });
}

function xml(
  status: number,
  body: string,
  headers: Record<string, string> = {},
): FaultInput["action"] {
  return {
    kind: "status",
    status,
    headers: { "content-type": "application/xml", ...headers },
    body: `<?xml version="1.0" encoding="utf-8"?>${body}`,
  };
}

/** An answer of Blob Storage's that says no, with its code in the body. */
function refusal(status: number, code = "", headers = {}): FaultInput["action"] {
  return xml(status, `<Error><Code>${code}</Code><Message>No.</Message></Error>`, headers);
}

describe("an exact version", () => {
  it("has the digest of its manifest", async () => {
    const digest = await publish(container, name, "7");
    await publish(container, name, "8");
    expect(await poll({ version: 7 })).toMatchObject({ kind: "model", version: "7", digest });
  });

  it("has the size of all its files, the manifest among them", async () => {
    await publish(container, name, "7", { "model.onnx": "weights", "labels.txt": "cat" });
    const before = await poll({ version: 7 });
    await publish(container, name, "7", { "model.onnx": "weights+1", "labels.txt": "cat" });
    expect(before.bytes).toBeGreaterThan("weights".length + "cat".length);
    expect((await poll({ version: 7 })).bytes).toBe(before.bytes + 2);
  });

  it("costs one conditional request while nothing changes", async () => {
    await publish(container, name, "7");
    const exact = source({ version: 7 });
    const seen = await exact.poll(undefined, bounded());
    services.world.faults.forget();
    expect(await exact.poll(seen, bounded())).toEqual(seen);
    expect(services.world.faults.requests()).toEqual([
      expect.objectContaining({
        method: "GET",
        path: expect.stringContaining(`/models/${name}/7/${MANIFEST}`),
        conditional: true,
        status: 304,
      }),
    ]);
  });

  it("changes when it is published again in place", async () => {
    await publish(container, name, "7");
    const exact = source({ version: 7 });
    const before = await exact.poll(undefined, bounded());
    const digest = await publish(container, name, "7", { "model.onnx": "other weights" });
    const after = await exact.poll(before, bounded());
    expect(after.digest).toBe(digest);
    expect(after.digest).not.toBe(before.digest);
  });

  it.each(["7", "8"])("is not there (%s): the message names it", async (version) => {
    await publish(container, name, "70");
    const error = await errorOf(poll({ version }));
    expect(error.code).toBe("MODEL_NOT_FOUND");
    expect(error.message).toContain(`${store}/${name}/${version}/`);
  });

  it("is not there in a container that is not there", async () => {
    const error = await errorOf(poll({ version: 7, from: storeOf("elsewhere") }));
    expect(error.code).toBe("MODEL_NOT_FOUND");
    expect(error.message).toContain("spec.model.store");
  });
});

describe("a folder without a manifest", () => {
  const query = { version: 7 } as const;

  it("is taken once two polls see the same", async () => {
    await upload(container, `${name}/7`, { "model.onnx": "weights", "labels.txt": "cat" });
    const folder = source(query);
    const error = await errorOf(folder.poll(undefined, bounded()));
    expect(error.code).toBe("MODEL_INCOMPLETE");
    expect(error.message).toContain("2 found");
    const seen = await folder.poll(undefined, bounded());
    const bytes = "weights".length + "cat".length;
    expect(seen).toMatchObject({ version: "7", etag: undefined, bytes });
    expect(await folder.poll(seen, bounded())).toEqual(seen);
  });

  it("is not taken while files still come", async () => {
    const folder = source(query);
    for (const file of ["a.onnx", "b.onnx", "c.onnx"]) {
      await upload(container, `${name}/7`, { [file]: "weights" });
      expect((await errorOf(folder.poll(undefined, bounded()))).code).toBe("MODEL_INCOMPLETE");
    }
    expect((await folder.poll(undefined, bounded())).version).toBe("7");
  });

  it("is not taken while a file's blocks are staged and not committed", async () => {
    const blob = (path: string, properties: string): string =>
      `<Blob><Name>${name}/7/${path}</Name><Properties>${properties}</Properties></Blob>`;
    // As Blob Storage lists them: neither ETag nor Last-Modified. Azurite gives both.
    const staged = [
      blob("labels.txt", "<Etag>0x8D</Etag><Content-Length>3</Content-Length>"),
      blob("model.onnx", "<Content-Length>0</Content-Length><BlobType>BlockBlob</BlobType>"),
    ];
    fault(xml(200, `<EnumerationResults><Blobs>${staged.join("")}</Blobs></EnumerationResults>`), {
      path: "comp=list",
    });
    const folder = source(query);
    for (let polls = 0; polls < 3; polls++)
      expect((await errorOf(folder.poll(undefined, bounded()))).code).toBe("MODEL_INCOMPLETE");
    expect(services.world.faults.requests().at(-1)?.path).toMatch(
      /include=[a-z,]*uncommittedblobs/,
    );
    services.world.faults.clear();
    await upload(container, `${name}/7`, { "labels.txt": "cat", "model.onnx": "weights" });
    expect((await errorOf(folder.poll(undefined, bounded()))).code).toBe("MODEL_INCOMPLETE");
    expect((await folder.poll(undefined, bounded())).version).toBe("7");
  });

  it("is another when a file is replaced by one of the same size", async () => {
    await upload(container, `${name}/7`, { "model.onnx": "weights" });
    const folder = source(query);
    await errorOf(folder.poll(undefined, bounded()));
    const before = await folder.poll(undefined, bounded());
    await upload(container, `${name}/7`, { "model.onnx": "WEIGHTS" });
    expect((await errorOf(folder.poll(before, bounded()))).code).toBe("MODEL_INCOMPLETE");
    expect((await folder.poll(before, bounded())).digest).not.toBe(before.digest);
  });

  it("is what its manifest says as soon as it has one", async () => {
    await upload(container, `${name}/7`, { "model.onnx": "weights" });
    const folder = source(query);
    await errorOf(folder.poll(undefined, bounded()));
    const before = await folder.poll(undefined, bounded());
    const digest = await publish(container, name, "7", { "model.onnx": "weights" });
    expect((await folder.poll(before, bounded())).digest).toBe(digest);
  });

  it("is never taken when a manifest is required", async () => {
    await upload(container, `${name}/7`, { "model.onnx": "weights" });
    const folder = source({ ...query, requireManifest: true });
    for (let polls = 0; polls < 3; polls++) {
      const error = await errorOf(folder.poll(undefined, bounded()));
      expect(error.code).toBe("MODEL_INCOMPLETE");
      expect(error.message).toContain("requireManifest");
    }
  });
});

describe("a version chosen among several", () => {
  async function publishAll(...versions: readonly string[]): Promise<ReadonlyMap<string, string>> {
    const digests = await Promise.all(
      versions.map(async (version) => [version, await publish(container, name, version)] as const),
    );
    return new Map(digests);
  }

  it.each<{ version: string; there: readonly string[]; chosen: string; order?: VersionOrder }>([
    { version: "latest", there: ["6", "7", "10"], chosen: "10" },
    { version: "latest", there: ["7.9.0", "7.10.0", "8.0.0-rc.1"], chosen: "7.10.0" },
    { version: "latest", there: ["2026-02-28", "2026-03-01", "2025-12-31"], chosen: "2026-03-01" },
    { version: ">=7 <8", there: ["6.9", "7.0", "7.2", "7.10", "8.0"], chosen: "7.10" },
    { version: "7.x", there: ["6.9", "7.0", "7.2", "8.0"], chosen: "7.2" },
    { version: "latest", there: ["20260301", "99"], chosen: "20260301", order: "Numeric" },
  ])("$version of $there is $chosen", async ({ version, there, chosen, order }) => {
    const digests = await publishAll(...there);
    expect(await poll({ version, ...(order && { order }) })).toMatchObject({
      version: chosen,
      digest: digests.get(chosen),
    });
  });

  it("is not one that is still being published", async () => {
    const digests = await publishAll("7", "8");
    await upload(container, `${name}/9`, { "model.onnx": "weights" });
    const latest = source({ version: "latest" });
    const before = await latest.poll(undefined, bounded());
    expect(before).toMatchObject({ version: "8", digest: digests.get("8") });
    const digest = await publish(container, name, "9");
    expect(await latest.poll(before, bounded())).toMatchObject({ version: "9", digest });
  });

  it("is the newest finished one, however many newer folders are not", async () => {
    const digests = await publishAll("5300");
    for (let version = 5301; version <= 5312; version += 1)
      await upload(container, `${name}/${version}`, { "model.onnx": "weights" });
    expect(await poll({ version: "latest" })).toMatchObject({
      version: "5300",
      digest: digests.get("5300"),
    });
  });

  it("is the one before when the newest is taken back", async () => {
    await publishAll("7", "8");
    const latest = source({ version: "latest" });
    const before = await latest.poll(undefined, bounded());
    for (const file of [MANIFEST, "model.onnx"]) await container.deleteBlob(`${name}/8/${file}`);
    expect(await latest.poll(before, bounded())).toMatchObject({ version: "7" });
  });

  it("costs one listing by delimiter and one conditional request while nothing changes", async () => {
    await publishAll("7", "8", "9");
    const latest = source({ version: "latest" });
    const seen = await latest.poll(undefined, bounded());
    services.world.faults.forget();
    expect(await latest.poll(seen, bounded())).toEqual(seen);
    expect(services.world.faults.requests()).toEqual([
      expect.objectContaining({
        method: "GET",
        path: expect.stringMatching(/comp=list.*delimiter=%2F|delimiter=%2F.*comp=list/),
        status: 200,
      }),
      expect.objectContaining({
        path: expect.stringContaining(`/${name}/9/${MANIFEST}`),
        conditional: true,
        status: 304,
      }),
    ]);
  });

  it("is not a version of a model whose name only begins the same", async () => {
    await publishAll("7");
    await publish(container, `${name}-large`, "9");
    expect(await poll({ version: "latest" })).toMatchObject({ version: "7" });
  });

  it("is none when none was published, or none is in the range", async () => {
    expect((await errorOf(poll({ version: "latest" }))).code).toBe("MODEL_NOT_FOUND");
    await publishAll("6", "9");
    expect((await errorOf(poll({ version: ">=7 <8" }))).code).toBe("MODEL_NOT_FOUND");
  });

  it("is none while all are still being published", async () => {
    await upload(container, `${name}/7`, { "model.onnx": "weights" });
    const error = await errorOf(poll({ version: "latest" }));
    expect(error.code).toBe("MODEL_INCOMPLETE");
    expect(error.message).toContain("aiapp publish");
    expect(error.message).toContain("newest 1 of 1 versions");
  });

  it("is none while dates and numbers do not compare", async () => {
    await publishAll("2026-03-01", "7");
    expect((await errorOf(poll({ version: "latest" }))).code).toBe("VERSIONS_AMBIGUOUS");
  });
});

/** By how many bytes the process grows while `work` is done. */
async function growthOf(work: () => Promise<unknown>): Promise<number> {
  const before = process.memoryUsage().rss;
  let most = before;
  const timer = setInterval(() => (most = Math.max(most, process.memoryUsage().rss)), 5);
  await work();
  clearInterval(timer);
  return most - before;
}

describe("a hostile store", () => {
  const prefixes = (count: number, marker: string): string => {
    const entries = Array.from(
      { length: count },
      (_, n) => `<BlobPrefix><Name>${name}/${n}${"0".repeat(1000)}/</Name></BlobPrefix>`,
    );
    return `<EnumerationResults><Blobs>${entries.join("")}</Blobs><NextMarker>${marker}</NextMarker></EnumerationResults>`;
  };

  it.each<{ what: string; action: () => FaultInput["action"] }>([
    { what: "5 MB of spaces", action: () => xml(200, " ".repeat(5_000_000)) },
    {
      what: "a million tags, each in the one before",
      action: () => xml(200, "<a>".repeat(300_000)),
    },
    { what: "more entries on a page than requested", action: () => xml(200, prefixes(10_000, "")) },
    { what: "a page that names itself as the next", action: () => xml(200, prefixes(1, "again")) },
    { what: "something else", action: () => xml(200, "<html><p>Hello</p></html>") },
  ])("answers a listing with $what", async ({ action }) => {
    fault(action(), { path: "comp=list" });
    const bytes = await growthOf(async () => {
      const error = await errorOf(poll({ version: "latest" }));
      expect(error.code).toBe("STORAGE_UNEXPECTED_RESPONSE");
    });
    expect(bytes).toBeLessThan(50e6);
  });

  it("that has 10,000 versions with long names is read, in pages that are parsed in short turns", async () => {
    const pages = 50;
    const page = (index: number): FaultInput["action"] => {
      const entries = Array.from({ length: 200 }, (_, n) => {
        const version = `1.0.${index * 200 + n}+${"0".repeat(950)}`;
        return `<BlobPrefix><Name>${name}/${version}/</Name></BlobPrefix>`;
      });
      const next = index + 1 < pages ? `p${index + 1}e` : "";
      return xml(
        200,
        `<EnumerationResults><Blobs>${entries.join("")}</Blobs><NextMarker>${next}</NextMarker></EnumerationResults>`,
      );
    };
    for (let index = 1; index < pages; index += 1)
      fault(page(index), { path: `marker=p${index}e` });
    fault(page(0), { path: "comp=list(?!.*marker)", times: 1 });
    const listed = createBlobStore(
      createContainers({ azureSuffixes: [], ...services }),
      services.agents.budget,
    );
    services.world.faults.forget();
    const versions = await listed.listVersions({ store, name }, accountKey, bounded());
    expect(versions).toHaveLength(10_000);
    const requests = services.world.faults.requests();
    expect(requests).toHaveLength(pages);
    for (const { path } of requests) expect(path).toContain("maxresults=200");
    expect(services.agents.budget.held()).toBe(0);
  }, 30_000);

  it("answers with an error of 50 MB", async () => {
    const body = `<Error><Code>${"x".repeat(50_000_000)}</Code></Error>`;
    fault(xml(500, body), { path: "comp=list" });
    const error = await errorOf(poll({ version: "latest" }));
    expect(error.code).toBe("STORAGE_UNEXPECTED_RESPONSE");
    expect(error.message.length).toBeLessThan(1000);
  });

  it("is reported by the same message, whatever keeps the operator from reading it", async () => {
    const closed = createServer().listen(0, "127.0.0.1");
    await once(closed, "listening");
    const address = closed.address();
    const port = typeof address === "object" ? address?.port : 0;
    closed.close();
    await once(closed, "close");
    fault({ kind: "cut" });
    const hosts = [
      `127.0.0.1:${port}`,
      // Plain HTTP behind an address of HTTPS, and a certificate of another name.
      `127.0.0.1:${services.world.behind.blob}`,
      `localhost:${services.world.blobPort}`,
      `127.0.0.1:${services.world.blobPort}`,
      "nowhere.invalid",
    ];
    const messages = await Promise.all(
      hosts.map(async (host) => {
        const from = `https://${host}/${storageAccount.name}/models`;
        const { code, message } = await errorOf(poll({ version: 7, identity: anonymous, from }));
        return `${code} ${message.replaceAll(host, "HOST")}`;
      }),
    );
    expect(new Set(messages).size).toBe(1);
  });

  it.each(["https://evil.example\\.127.0.0.1/models", "https://evil.example%2f.127.0.0.1/models"])(
    "that is written so that parsers read another host is refused (%s)",
    async (from) => {
      const polled = async (): Promise<ModelSeen> => poll({ version: 7, from });
      expect((await errorOf(polled())).code).toBe("HOST_NOT_ALLOWED");
    },
  );
});

describe("a manifest that cannot be used", () => {
  it.each<{ what: string; bytes: () => Buffer }>([
    { what: "is no JSON", bytes: () => Buffer.from("weights") },
    { what: "is that of another version", bytes: () => manifestOf(name, "8", { a: "" }) },
    { what: "climbs out of its folder", bytes: () => manifestOf(name, "7", { "../8/a": "" }) },
    { what: "lists nothing", bytes: () => manifestOf(name, "7", {}) },
    { what: "is too large", bytes: () => Buffer.alloc(MAX_MANIFEST_BYTES + 1, " ") },
  ])("because it $what is reported, with its place", async ({ bytes }) => {
    await upload(container, `${name}/7`, { [MANIFEST]: bytes() });
    const error = await errorOf(poll({ version: 7 }));
    expect(error.code).toBe("MANIFEST_INVALID");
    expect(error.message).toContain(`${store}/${name}/7/${MANIFEST}`);
  });
});

describe("identities", () => {
  beforeEach(async () => {
    await publish(container, name, "7");
  });

  it.each(["exact", "latest"])("read by a SAS token (%s)", async (selector) => {
    const version = selector === "exact" ? 7 : selector;
    expect((await poll({ version, identity: await sas() })).version).toBe("7");
  });

  it("read by a workload identity, whose token is for Storage and is used again", async () => {
    const latest = source({ version: "latest", identity: reader });
    const seen = await latest.poll(undefined, bounded());
    expect(seen.version).toBe("7");
    const grants = services.entra.grants();
    expect(grants.at(-1)).toEqual({
      subject: "system:serviceaccount:cats:reader",
      scope: expect.stringContaining("https://storage.azure.com/.default"),
    });
    const granted = grants.length;
    await latest.poll(seen, bounded());
    expect(services.entra.grants()).toHaveLength(granted);
  });

  it("read anonymously what the account makes public", async () => {
    const open = accountClient(services.world.behind.blob).getContainerClient("open");
    await open.createIfNotExists({ access: "container" });
    const digest = await publish(open, name, "7");
    const seen = await poll({ version: "latest", identity: anonymous, from: storeOf("open") });
    expect(seen.digest).toBe(digest);
  });

  it("do not read anonymously what is not public", async () => {
    const code = "PublicAccessNotPermitted";
    fault(refusal(409, code));
    const error = await errorOf(poll({ version: 7, identity: anonymous }));
    expect(error.code).toBe("STORAGE_AUTH_FAILED");
    expect(error.message).toContain(code);
  });

  it("are refused with a wrong key, which no error holds", async () => {
    const wrong = Buffer.from("a key that opens nothing at all").toString("base64");
    const identity: Identity = { ...accountKey, accountKey: wrong };
    for (const version of [7, "latest"]) {
      const error = await errorOf(poll({ version, identity }));
      expect(error.code).toBe("STORAGE_AUTH_FAILED");
      expect(`${error.message} ${error.stack} ${JSON.stringify(error)}`).not.toContain(wrong);
    }
  });

  it("are refused with a SAS token that has expired, and the message says when it did", async () => {
    const expired = new Date(Date.now() - 60_000);
    const error = await errorOf(poll({ version: 7, identity: await sas(expired) }));
    expect(error.code).toBe("STORAGE_AUTH_FAILED");
    expect(error.message).toContain(`expired at ${expired.toISOString().slice(0, 19)}`);
  });

  it("are refused with a SAS token for other permissions, and the message names them", async () => {
    const identity = await sas(undefined, "w");
    for (const version of [7, "latest"]) {
      const error = await errorOf(poll({ version, identity }));
      expect(error.code).toBe("STORAGE_AUTH_FAILED");
      expect(error.message).toContain('permits only "w"');
      expect(error.message).toContain("sp=rl");
    }
  });

  it("read by a SAS token with a raw + in its signature", async () => {
    // Until a signature has one: each has another expiry.
    let raw = "";
    let endpoint = "";
    for (let minute = 1; !raw.includes("+"); minute += 1) {
      const made = await sas(new Date(Date.now() + minute * 60_000));
      raw = made.sasToken.replaceAll("%2B", "+");
      endpoint = made.endpoint ?? "";
    }
    const data = { sasToken: raw, endpoint };
    const identity = storageIdentity({ namespace: "shop", name: "storage", data });
    expect((await poll({ version: 7, identity })).version).toBe("7");
  });

  it("are refused by the account's firewall, and the message says so", async () => {
    fault(refusal(403, "AuthorizationFailure"));
    for (const identity of [accountKey, await sas(), reader]) {
      const error = await errorOf(poll({ version: 7, identity }));
      expect(error.code).toBe("STORAGE_AUTH_FAILED");
      expect(error.message).toContain("network rules");
    }
  });

  it.each(["the account key", "the SAS token"])(
    "are not sent to a host that is not theirs (%s)",
    async (what) => {
      const made = what === "the SAS token" ? await sas() : accountKey;
      const elsewhere = { ...made, endpoint: "contoso.blob.core.windows.net" };
      services.world.faults.forget();
      const error = await errorOf(poll({ version: 7, identity: elsewhere }));
      expect(error.code).toBe("HOST_NOT_ALLOWED");
      expect(error.message).toContain(`${what} in the Secret is not sent to `);
      expect(error.message).toContain("endpoint");
      expect(services.world.faults.requests()).toEqual([]);
    },
  );

  it("request a token for Storage only, whatever resource and tenant a challenge names", async () => {
    const headers = {
      "www-authenticate":
        "Bearer authorization_uri=https://login.microsoftonline.com/33333333-3333-4333-8333-333333333333/oauth2/authorize resource_id=https://management.azure.com",
    };
    fault({ kind: "status", status: 401, headers });
    const identity = { ...reader, clientId: `${reader.clientId}-challenged` };
    const before = services.entra.grants().length;
    expect((await errorOf(poll({ version: 7, identity }))).code).toBe("STORAGE_AUTH_FAILED");
    const scopes = services.entra
      .grants()
      .slice(before)
      .map(({ scope }) => scope);
    expect(scopes.length).toBeGreaterThan(0);
    for (const scope of scopes) expect(scope).toContain("https://storage.azure.com/.default");
  });

  it("are refused when Entra ID knows no federated credential", async () => {
    const error = await errorOf(poll({ version: 7, identity: stranger }));
    expect(error.code).toBe("STORAGE_AUTH_FAILED");
    expect(error.message).toContain("AADSTS70021");
  });

  it("are not refused, only not read, while Entra ID stalls", async () => {
    services.world.faults.add({ service: "entra", method: "POST", action: { kind: "stall" } });
    const identity = { ...reader, clientId: `${reader.clientId}-${name}` };
    const error = await timedOut(services.world, (signal) =>
      poll({ version: 7, identity }, undefined, signal),
    );
    expect(error.code).toBe("STORAGE_UNAVAILABLE");
    services.world.faults.clear();
    expect((await poll({ version: 7, identity })).version).toBe("7");
  }, 30_000);

  it("send no Azure token to a host that is not Azure's", async () => {
    const granted = services.entra.grants().length;
    const azureSuffixes = [".blob.core.windows.net"];
    const error = await errorOf(poll({ version: 7, identity: reader, azureSuffixes }));
    expect(error.code).toBe("CREDENTIALS_MISSING");
    expect(services.entra.grants()).toHaveLength(granted);
  });
});

describe("a host that is not allowed", () => {
  it.each(["127.0.0.1", "localhost"])("such as %s, the node itself, is not", async (host) => {
    const policy = { ...services.policy, allowLoopback: false };
    services.world.faults.forget();
    const error = await errorOf(poll({ version: 7, from: storeOf("models", host), policy }));
    expect(error.code).toBe("HOST_NOT_ALLOWED");
    expect(services.world.faults.requests()).toEqual([]);
  });

  it("over plain http is not", async () => {
    const from = `http://127.0.0.1:${services.world.behind.blob}/${storageAccount.name}/models`;
    expect((await errorOf(poll({ version: 7, from }))).code).toBe("HOST_NOT_ALLOWED");
  });
});

describe.each<{ version: string | number; of: string; path: string }>([
  { version: 7, of: "manifests", path: MANIFEST },
  { version: "latest", of: "listings", path: "comp=list" },
])("a store that misbehaves at $of", ({ version, path }) => {
  beforeEach(async () => {
    await publish(container, name, "7");
  });
  it.each<{ status: number; code?: string; expected: object }>([
    { status: 401, expected: { code: "STORAGE_AUTH_FAILED" } },
    { status: 403, expected: { code: "STORAGE_AUTH_FAILED" } },
    { status: 429, expected: { code: "STORAGE_THROTTLED", retryAfterMs: 17_000 } },
    {
      status: 503,
      code: "ServerBusy",
      expected: { code: "STORAGE_THROTTLED", retryAfterMs: 17_000 },
    },
    { status: 503, expected: { code: "STORAGE_UNAVAILABLE", retryAfterMs: 17_000 } },
    { status: 500, expected: { code: "STORAGE_UNAVAILABLE" } },
    { status: 418, expected: { code: "STORAGE_UNEXPECTED_RESPONSE" } },
  ])("by $status $code", async ({ status, code, expected }) => {
    fault(refusal(status, code, { "retry-after": "17" }), { path });
    expect(await errorOf(poll({ version }))).toMatchObject(expected);
  });

  it("by 429 without Retry-After", async () => {
    fault(refusal(429), { path });
    expect(await errorOf(poll({ version }))).toMatchObject({ retryAfterMs: 10_000 });
  });

  it("by a redirect, which is not followed", async () => {
    const location = `https://127.0.0.1:${services.entra.port}/elsewhere`;
    fault({ kind: "status", status: 307, headers: { location } }, { path });
    expect((await errorOf(poll({ version }))).code).toBe("STORAGE_UNEXPECTED_RESPONSE");
  });

  it("by cutting one connection: the poll succeeds", async () => {
    fault({ kind: "cut" }, { path, times: 1 });
    expect((await poll({ version })).version).toBe("7");
  });

  it.each([0, 20])("by cutting every connection after %i bytes", async (afterBytes) => {
    fault({ kind: "cut", afterBytes }, { path });
    expect((await errorOf(poll({ version }))).code).toBe("STORAGE_UNAVAILABLE");
  });

  it.each([0, 20])(
    "by stalling after %i bytes: the signal ends it, and the next poll succeeds",
    async (afterBytes) => {
      fault({ kind: "stall", afterBytes }, { path, times: 1 });
      const error = await timedOut(services.world, (signal) =>
        poll({ version }, undefined, signal),
      );
      expect(error.code).toBe("STORAGE_UNAVAILABLE");
      expect((await poll({ version })).version).toBe("7");
    },
    30_000,
  );

  it.each<FaultInput["action"]>([
    { kind: "status", status: 403 },
    { kind: "status", status: 404 },
    { kind: "status", status: 418 },
    { kind: "status", status: 500 },
    { kind: "cut" },
    { kind: "cut", afterBytes: 20 },
  ])("without a SAS token getting into a message ($kind $status)", async (action) => {
    const identity = await sas();
    fault(action, { path });
    const { message } = await errorOf(poll({ version, identity }));
    expect(message).not.toMatch(/sig=|se=/);
  });
});

describe("what was seen, through the poller", () => {
  it.each<{ what: string; path: string; action: FaultInput["action"]; code: string }>([
    {
      what: "a listing is empty",
      path: "comp=list",
      action: xml(200, "<EnumerationResults><Blobs/><NextMarker/></EnumerationResults>"),
      code: "MODEL_NOT_FOUND",
    },
    { what: "the store is down", path: "", action: { kind: "cut" }, code: "STORAGE_UNAVAILABLE" },
    {
      what: "the key is refused",
      path: "",
      action: { kind: "status", status: 403 },
      code: "STORAGE_AUTH_FAILED",
    },
    {
      what: "the manifest is spoiled",
      path: MANIFEST,
      action: {
        kind: "status",
        status: 200,
        headers: { etag: `"1"`, "content-length": "2" },
        body: "{}",
      },
      code: "MANIFEST_INVALID",
    },
  ])(
    "stays while $what",
    async ({ path, action, code }) => {
      await publish(container, name, "7");
      const latest = source({ version: "latest" });
      const poller = createPoller({
        clock: systemClock,
        log: createLogger("silent"),
        metrics: createMetrics(),
        onChange: () => {},
      });
      const wait = { timeout: 20_000, interval: 20 };
      try {
        poller.subscribe("the test", [{ source: latest, intervalMs: 20 }]);
        await vi.waitFor(() => expect(poller.get(latest).value).toBeDefined(), wait);
        const { value } = poller.get(latest);
        fault(action, { path });
        await vi.waitFor(() => expect(poller.get(latest).error?.code).toBe(code), wait);
        expect(poller.get(latest).value).toEqual(value);
        services.world.faults.clear();
        const digest = await publish(container, name, "8");
        await vi.waitFor(
          () => expect(poller.get(latest)).toMatchObject({ value: { digest }, error: undefined }),
          wait,
        );
      } finally {
        await poller.close();
      }
    },
    45_000,
  );
});
