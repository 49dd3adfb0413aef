import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

import { BlobServiceClient, StorageSharedKeyCredential } from "@azure/storage-blob";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";

import { eventually } from "../cluster/process.ts";
import { known, models } from "../demo/pictures.ts";
import { storageAccount } from "../support/azurite.ts";
import type { FaultInput } from "../support/faults.ts";
import { condition, isReleased, readApp, waitFor } from "../support/aiapp.ts";
import { createTenant, readGiven, type Platform } from "../support/platform.ts";
import type { Traffic } from "../traffic/start.ts";
import {
  apply,
  ask,
  digits,
  eventsOf,
  imageOf,
  json,
  list,
  patch,
  publish,
  serving,
  setUp,
  tearDown,
  traffic,
} from "./harness.ts";
import { killAll, killLeader } from "./processes.ts";

/**
 * Faults of the registry, the store, the cluster and the operator while an app serves. Each causes a condition and an
 * event, and no request fails: traffic runs from the first test to the last.
 */

// Only our own cluster has services that inject faults, and processes that tests may kill.
const isOurs = readGiven(process.env).kind === "local";
const NAMESPACE = "e2e-faults";
const NAME = "steady";
let platform: Platform;
let image: string;
let load: Traffic;

beforeAll(async () => {
  if (!isOurs) return;
  platform = await setUp(NAMESPACE, ["1", "2"]);
  image = imageOf(platform, NAMESPACE);
  await apply(platform, digits(platform, NAMESPACE, NAME));
  const app = await serving(platform, NAMESPACE, NAME, "the first release");
  load = await traffic(app.status?.url, { rate: 50 });
});
afterAll(async () => {
  if (!isOurs) return;
  await load.stop();
  await tearDown(platform, NAMESPACE);
});
afterEach(recover, 240_000);

const APP = { namespace: NAMESPACE, name: NAME } as const;

/** Waits for a condition and its event; the current release must keep serving. */
async function expectTrouble(
  type: string,
  reason: string,
  message: RegExp,
  name = NAME,
): Promise<void> {
  const app = await waitFor(
    platform,
    { namespace: NAMESPACE, name },
    `${type} ${reason}`,
    (one) => condition(one, type)?.reason === reason,
  );
  expect(condition(app, type)).toMatchObject({ status: "False" });
  expect(condition(app, type)?.message).toMatch(message);
  expect(condition(app, "Ready")).toMatchObject({ status: "True" });
  expect(condition(app, "Available")).toMatchObject({ status: "True" });
  const deadline = Date.now() + 10_000;
  for (;;) {
    const events = await eventsOf(platform, NAMESPACE, name);
    if (events.some((event) => event.type === "Warning" && event.reason === reason)) break;
    if (Date.now() > deadline)
      throw new Error(`no Warning ${reason} among ${JSON.stringify(events)}`);
    await delay(200);
  }
  expect(await ask(app.status?.url)).toMatchObject({
    modelVersion: app.status?.current?.modelVersion,
  });
}

/** Restores the first release and healthy sources: each test starts from there. */
async function recover(): Promise<void> {
  await platform.clearFaults();
  await createTenant(platform, NAMESPACE);
  await patch(platform, NAMESPACE, NAME, { image, modelVersion: "1", model: { name: NAMESPACE } });
  await waitFor(
    platform,
    APP,
    "recovery",
    (app) =>
      isReleased(app) &&
      app.status?.current?.modelVersion === "1" &&
      condition(app, "SourcesReady")?.status === "True",
    180_000,
  );
}

describe.runIf(isOurs)("missing sources", () => {
  it("no such tag", async () => {
    await patch(platform, NAMESPACE, NAME, { image: image.replace(/:1$/, ":nope") });
    await expectTrouble("Released", "ImageNotFound", /:nope.*spec\.image/);
  });

  it("no such version", async () => {
    await patch(platform, NAMESPACE, NAME, { modelVersion: "99" });
    await expectTrouble("Released", "ModelNotFound", /\/99\/.*publish/);
  });

  it("a Secret that is missing", async () => {
    await platform.kubectl(["delete", "secret", "registry", "--namespace", NAMESPACE]);
    await expectTrouble("SourcesReady", "SecretNotFound", /Secret e2e-faults\/registry/);
  });
});

describe.runIf(isOurs)("invalid versions", () => {
  it("a folder without a manifest while it is uploaded, and once it is complete", async () => {
    const names = ["labels.txt", "preprocessing.json", "model.onnx"];
    const [first = "", ...rest] = names;
    await upload("growing", first, await readFile(join(models, "2", first)));
    await patch(platform, NAMESPACE, NAME, { modelVersion: "growing" });
    let parts = 0;
    await waitFor(platform, APP, "ModelIncomplete", async (app) => {
      parts += 1;
      await upload("growing", `part-${parts}.bin`, Buffer.from(String(parts)));
      return condition(app, "Released")?.reason === "ModelIncomplete";
    });
    load.expect({ growing: { ...known, "hard.png": "nine" } });
    for (const name of rest) await upload("growing", name, await readFile(join(models, "2", name)));
    await serving(
      platform,
      NAMESPACE,
      NAME,
      "the folder at rest",
      ({ status }) => status?.current?.modelVersion === "growing",
    );
  });

  it("a file whose sha256 differs from the manifest", async () => {
    await uploadBundle("torn", (name, bytes) => (name === "model.onnx" ? flip(bytes) : bytes));
    await patch(platform, NAMESPACE, NAME, { modelVersion: "torn" });
    await expectTrouble("Released", "ModelChecksumMismatch", /model\.onnx/);
  });

  it("a model.onnx that the runtime cannot load", async () => {
    await uploadBundle("broken", (_, bytes) => bytes, {
      "model.onnx": Buffer.from("this is no model"),
    });
    await patch(platform, NAMESPACE, NAME, { modelVersion: "broken" });
    await expectTrouble("Released", "ModelLoadFailed", /model\.onnx/);
  });
});

describe.runIf(isOurs)("registry and storage faults", () => {
  const acr = (action: FaultInput["action"]): FaultInput => ({
    service: "acr",
    path: "/(v2|oauth2)/",
    action,
  });
  const status = (code: number, headers: Record<string, string> = {}): FaultInput["action"] => ({
    kind: "status",
    status: code,
    headers,
  });

  it.each([
    ["401", status(401), "RegistryAuthFailed", /Secret/],
    ["403", status(403), "RegistryAuthFailed", /Secret/],
    [
      "429 with Retry-After",
      status(429, { "retry-after": "2" }),
      "RegistryThrottled",
      /slow down|429|throttle/i,
    ],
    ["500", status(500), "RegistryUnavailable", /500/],
    ["a cut connection", { kind: "cut" } as const, "RegistryUnavailable", /reach|connect/i],
  ])("the registry responds with %s", async (_, action, reason, message) => {
    await platform.addFault(acr(action));
    await expectTrouble("SourcesReady", reason, message);
  });

  it("the registry returns an empty list", async () => {
    await platform.push(platform.images.server, image.replace(/:1$/, ":1.0.0"));
    // A separate app: the operator limits the rate of events for each object.
    const name = "choosing";
    await apply(
      platform,
      digits(platform, NAMESPACE, name, { imagePolicy: { semver: "^1" }, replicas: 1 }),
    );
    const app = await serving(platform, NAMESPACE, name, "the chosen tag");
    expect(app.status?.current?.imageTag).toBe("1.0.0");
    await platform.addFault({
      service: "acr",
      path: "/tags/list",
      action: { kind: "status", status: 200, headers: {}, body: '{"name":"any","tags":[]}' },
    });
    await expectTrouble("SourcesReady", "ImageNotFound", /no tags/, name);
    await platform.kubectl(["delete", "aia", name, "--namespace", NAMESPACE]);
  });

  it("the wrong storage key", async () => {
    const secret = (key: string): Promise<string> =>
      // prettier-ignore
      platform.kubectl(["patch", "secret", "storage", "--namespace", NAMESPACE, "--patch", JSON.stringify({ stringData: { accountKey: key } })]);
    const wrong = Buffer.from("another key").toString("base64");
    await secret(wrong);
    await expectTrouble("SourcesReady", "StorageAuthFailed", /refuse/);
    const published =
      JSON.stringify(await readApp(platform, NAMESPACE, NAME)) +
      JSON.stringify(await eventsOf(platform, NAMESPACE, NAME));
    expect(published).not.toContain(wrong);
  });

  it("storage that returns an empty list", async () => {
    const model = { name: `${NAMESPACE}-listed` };
    await publish(platform, model.name, "1");
    await patch(platform, NAMESPACE, NAME, { modelVersion: ">=1 <2", model });
    await waitFor(platform, APP, "the range", isReleased);
    const body =
      '<?xml version="1.0" encoding="utf-8"?><EnumerationResults ServiceEndpoint="https://contoso.blob.azure.test/" ContainerName="models"><Blobs/><NextMarker/></EnumerationResults>';
    await platform.addFault({
      service: "blob",
      path: "comp=list",
      action: { kind: "status", status: 200, headers: { "content-type": "application/xml" }, body },
    });
    await expectTrouble("SourcesReady", "ModelNotFound", /no version/i);
  });

  it("storage that stalls during a download: the init container resumes it", async () => {
    await platform.addFault({
      service: "blob",
      method: "GET",
      path: "/2/model\\.onnx",
      times: 1,
      action: { kind: "stall", afterBytes: 4096 },
    });
    await patch(platform, NAMESPACE, NAME, { modelVersion: "2" });
    await serving(
      platform,
      NAMESPACE,
      NAME,
      "version 2",
      ({ status }) => status?.current?.modelVersion === "2",
    );
  });
});

describe.runIf(isOurs)("operator and cluster faults", () => {
  it("the operator is killed at several moments of a release, and continues", async () => {
    for (const [version, afterMs] of [
      ["2", 0],
      ["1", 400],
      ["2", 1500],
      ["1", 3000],
    ] as const) {
      await patch(platform, NAMESPACE, NAME, { modelVersion: version });
      await delay(afterMs);
      expect(await killLeader(platform)).toMatch(/^aiapp-operator-/);
      await serving(
        platform,
        NAMESPACE,
        NAME,
        `version ${version}`,
        ({ status }) => status?.current?.modelVersion === version,
      );
    }
    const items = await list(platform, NAMESPACE, "controllerrevisions", "aiapp.dev/app=steady");
    // One record for each released pair, regardless of the crashes.
    const history = (await readApp(platform, NAMESPACE, NAME)).status?.history ?? [];
    expect(new Set(history.map(({ id }) => id)).size).toBe(history.length);
    expect(items.length).toBe(history.length);
  });

  it("the API server is killed in the middle of a release", async () => {
    await patch(platform, NAMESPACE, NAME, { modelVersion: "2" });
    await delay(1000);
    expect(killAll("^/[^ ]*/kube kube-apiserver")).toBeGreaterThan(0);
    await eventually(
      "the API server",
      60_000,
      async () => (await platform.kubectl(["get", "--raw", "/readyz"])) === "ok",
    );
    // kube-proxy backs off longest, and reconnects last.
    await serving(
      platform,
      NAMESPACE,
      NAME,
      "version 2",
      ({ status }) => status?.current?.modelVersion === "2",
      90_000,
    );
  });

  it("the operator restores an owned object that was edited or deleted", async () => {
    // prettier-ignore
    await platform.kubectl(["patch", "deployment", NAME, "--namespace", NAMESPACE, "--patch", JSON.stringify({ spec: { template: { spec: { containers: [{ name: "server", image: "registry.aiapp.test:5000/wrong:1" }] } } } })]);
    await eventually("the Deployment as it was", 60_000, async () => {
      const { spec } = await json<{
        spec: { template: { spec: { containers: { image: string }[] } } };
      }>(platform, ["get", "deployment", NAME, "--namespace", NAMESPACE]);
      return (
        spec.template.spec.containers[0]?.image.startsWith(image.replace(/:1$/, "@sha256:")) ===
        true
      );
    });
    await platform.kubectl(["delete", "serviceaccount", NAME, "--namespace", NAMESPACE]);
    await platform.kubectl([
      "delete",
      "deployment",
      NAME,
      "--namespace",
      NAMESPACE,
      "--cascade=orphan",
    ]);
    await eventually("the Deployment and the ServiceAccount again", 60_000, async () => {
      const found = await platform.kubectl([
        "get",
        "deployment,serviceaccount",
        NAME,
        "--namespace",
        NAMESPACE,
        "--output",
        "name",
        "--ignore-not-found",
      ]);
      return found.split("\n").length === 2;
    });
    await waitFor(platform, APP, "all well", isReleased);
  });

  it("the operator does not touch an object of the same name that it does not own", async () => {
    const service = {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "taken", namespace: NAMESPACE },
      spec: { ports: [{ port: 80 }] },
    };
    await apply(platform, service);
    const before = await json<{ metadata: { resourceVersion: string } }>(platform, [
      "get",
      "service",
      "taken",
      "--namespace",
      NAMESPACE,
    ]);
    await apply(platform, digits(platform, NAMESPACE, "taken"));
    const app = await waitFor(
      platform,
      { namespace: NAMESPACE, name: "taken" },
      "NameConflict",
      (one) => condition(one, "Stalled")?.reason === "NameConflict",
    );
    expect(condition(app, "Stalled")?.message).toMatch(
      /Service named taken.*rename the AIApp, or delete the Service/,
    );
    const after = await json<{ metadata: { resourceVersion: string } }>(platform, [
      "get",
      "service",
      "taken",
      "--namespace",
      NAMESPACE,
    ]);
    expect(after.metadata.resourceVersion).toBe(before.metadata.resourceVersion);
    expect(
      await platform.kubectl([
        "get",
        "deployment",
        "taken",
        "--namespace",
        NAMESPACE,
        "--ignore-not-found",
      ]),
    ).toBe("");

    await platform.kubectl(["delete", "service", "taken", "--namespace", NAMESPACE]);
    await serving(platform, NAMESPACE, "taken", "the name is free");
    await platform.kubectl(["delete", "aia", "taken", "--namespace", NAMESPACE]);
  });

  it("the API server refuses a name that could collide with a derived one", async () => {
    await expect(apply(platform, digits(platform, NAMESPACE, `${NAME}-candidate`))).rejects.toThrow(
      /must not end in -candidate/,
    );
  });
});

describe.runIf(isOurs)("traffic during all faults", () => {
  it("has no failed request", async () => {
    const summary = await load.stop();
    expect(summary.failures).toEqual([]);
    expect(summary.failed).toBe(0);
    expect(summary.requests).toBeGreaterThan(2000);
  });
});

function flip(bytes: Buffer): Buffer {
  const turned = Buffer.from(bytes);
  turned[100] = 0xff ^ (turned[100] ?? 0);
  return turned;
}

async function upload(version: string, path: string, bytes: Buffer): Promise<void> {
  const { name, key } = storageAccount;
  const service = new BlobServiceClient(
    new URL(platform.store).origin,
    new StorageSharedKeyCredential(name, key),
  );
  const blob = service
    .getContainerClient("models")
    .getBlockBlobClient(`${NAMESPACE}/${version}/${path}`);
  await blob.uploadData(bytes);
}

/** Uploads version 2 under another name with its manifest, but with files that may differ from the manifest. */
async function uploadBundle(
  version: string,
  spoil: (name: string, bytes: Buffer) => Buffer,
  replaced: Readonly<Record<string, Buffer>> = {},
): Promise<void> {
  const files = [];
  for (const path of ["labels.txt", "preprocessing.json", "model.onnx"]) {
    const bytes = replaced[path] ?? (await readFile(join(models, "2", path)));
    files.push({
      path,
      size: bytes.length,
      sha256: createHash("sha256").update(bytes).digest("hex"),
    });
    await upload(version, path, spoil(path, bytes));
  }
  const manifest = { formatVersion: 1, name: NAMESPACE, version, files };
  await upload(version, "manifest.json", Buffer.from(JSON.stringify(manifest)));
}
