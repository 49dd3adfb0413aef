import { ContainerClient, StorageSharedKeyCredential } from "@azure/storage-blob";
import { afterAll, beforeAll, expect, it } from "vitest";

import type { V1Pod } from "../../operator/kube/types.ts";
import { KEPT_FOLDER } from "../../operator/sources/keep/names.ts";
import { condition, waitFor } from "../support/aiapp.ts";
import { storageAccount } from "../support/azurite.ts";
import { readGiven, type Platform } from "../support/platform.ts";
import {
  apply,
  digits,
  everyKind,
  imageOf,
  list,
  patch,
  serving,
  setUp,
  tearDown,
  traffic,
} from "./harness.ts";

/** A release outlives its sources: every pod moves to another node after its model version and its tag are gone. */

// The tests do not drain nodes of an existing cluster.
const isOurs = readGiven(process.env).kind === "local";
const NAMESPACE = "e2e-recoverable";
const NAME = "digits";
const WHERE = { namespace: NAMESPACE, name: NAME } as const;
const SELECTOR = `aiapp.dev/app=${NAME}`;
let platform: Platform;

beforeAll(async () => {
  if (!isOurs) return;
  platform = await setUp(NAMESPACE, ["1"]);
  await platform.kubectl(["cordon", "node-2"]);
});
afterAll(async () => {
  if (!isOurs) return;
  await platform.kubectl(["uncordon", "node-1", "node-2"]);
  await tearDown(platform, NAMESPACE);
});

async function pods(): Promise<readonly V1Pod[]> {
  const items = await list<V1Pod>(platform, NAMESPACE, "pods", SELECTOR);
  return items.filter(({ metadata }) => metadata?.deletionTimestamp === undefined);
}

/** Deletes the version's folder, as a person or a lifecycle rule does. */
async function deleteVersion(version: string): Promise<void> {
  const { name, key } = storageAccount;
  const credential = new StorageSharedKeyCredential(name, key);
  const container = new ContainerClient(platform.given.publishTo, credential);
  const prefix = `${NAMESPACE}/${version}/`;
  for await (const blob of container.listBlobsFlat({ prefix }))
    await container.deleteBlob(blob.name);
}

it.runIf(isOurs)("serves the right bytes from a fresh node, without a failed request", async () => {
  await apply(platform, digits(platform, NAMESPACE, NAME, { replicas: 2 }));
  const app = await serving(platform, NAMESPACE, NAME, "the first release");
  const kept = await waitFor(
    platform,
    WHERE,
    "the copies",
    ({ status }) =>
      status?.current?.kept?.model?.state === "Kept" && status.current.kept.image?.state === "Kept",
  );
  expect(kept.status?.current?.kept?.model?.message).toContain(KEPT_FOLDER);
  expect((await pods()).map(({ spec }) => spec?.nodeName)).toEqual(["node-1", "node-1"]);

  // The tag moves to another image, so that only the keeper tag names the one that runs.
  await patch(platform, NAMESPACE, NAME, { suspend: true });
  await platform.push(platform.images.serverNext, imageOf(platform, NAMESPACE));
  await deleteVersion("1");
  const lost = await waitFor(
    platform,
    WHERE,
    "the loss",
    (one) => condition(one, "Recoverable")?.reason === "Kept",
  );
  expect(condition(lost, "Recoverable")).toMatchObject({ status: "True" });
  expect(await platform.aiapp(["status", NAME, "--namespace", NAMESPACE])).toContain(KEPT_FOLDER);

  await platform.kubectl(["uncordon", "node-2"]);
  const load = await traffic(app.status?.url, everyKind);
  try {
    // prettier-ignore
    await platform.kubectl(["drain", "node-1", "--ignore-daemonsets", "--delete-emptydir-data", "--pod-selector", SELECTOR, "--timeout=180s"]);
    await waitFor(platform, WHERE, "the pods elsewhere", async ({ status }) => {
      const all = await pods();
      const areMoved = all.length === 2 && all.every(({ spec }) => spec?.nodeName === "node-2");
      return areMoved && status?.readyReplicas === 2;
    });
  } finally {
    await load.stop();
  }
  const summary = await load.stop();
  expect(summary.failures).toEqual([]);
  expect(summary.failed).toBe(0);
  expect(summary.dropped).toBe(0);
  // prettier-ignore
  const log = await platform.kubectl(["logs", "--namespace", NAMESPACE, "--selector", SELECTOR, "--container", "model-pull"]);
  expect(log).toContain("looking for the copy that the operator keeps");
  expect(log).toContain("all checksums match");
});
