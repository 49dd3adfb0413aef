import { afterAll, beforeAll, expect, it } from "vitest";

import { eventually } from "../cluster/process.ts";
import { condition, isReleased, waitFor } from "../support/aiapp.ts";
import type { Platform } from "../support/platform.ts";
import { apply, digits, eventsOf, list, serving, setUp, tearDown } from "./harness.ts";

/**
 * What the cluster rejects, and what others do to an app's objects. One app of one pod, without traffic: it may have an
 * outage. Each test continues where the one before it ended.
 */

const NAMESPACE = "e2e-cluster";
let platform: Platform;

beforeAll(async () => {
  platform = await setUp(NAMESPACE, ["1", "2"]);
});
afterAll(() => tearDown(platform, NAMESPACE));

const SINGLE = { namespace: NAMESPACE, name: "single" } as const;
const single = (modelVersion: string): object =>
  digits(platform, NAMESPACE, SINGLE.name, { modelVersion, replicas: 1 });
const kubectl = (...args: readonly string[]): Promise<string> =>
  platform.kubectl([...args, "--namespace", NAMESPACE]);
const PODS = ["--selector", "aiapp.dev/app=single,aiapp.dev/role=stable"] as const;
/** The Deployment and its pods, without those that terminate. */
async function uids(): Promise<readonly string[]> {
  const items = await list<{
    readonly metadata: { readonly uid: string; readonly deletionTimestamp?: string };
  }>(platform, NAMESPACE, "deployment,pod", "aiapp.dev/app=single");
  return items.flatMap(({ metadata }) =>
    metadata.deletionTimestamp === undefined ? [metadata.uid] : [],
  );
}

it("a quota that rejects each new pod: the outage and the change that waits are reported, and end", async () => {
  await apply(platform, single("1"));
  await serving(platform, NAMESPACE, SINGLE.name, "version 1");
  await kubectl("create", "quota", "frugal", "--hard", "limits.cpu=4");
  try {
    await kubectl("delete", "pod", ...PODS, "--wait=false");
    const out = await waitFor(
      platform,
      SINGLE,
      "the outage",
      (app) => condition(app, "Ready")?.reason === "PodsRejected",
    );
    expect(condition(out, "Ready")).toMatchObject({
      status: "False",
      message: expect.stringMatching(
        /^no pod of the current release [0-9a-f]{10} serves: .*failed quota: frugal.*spec\.resources/,
      ),
    });
    expect(condition(out, "Stalled")?.reason).toBe("PodsRejected");
    await eventually("the event of the outage", 10_000, async () =>
      (await eventsOf(platform, NAMESPACE, SINGLE.name)).some(
        ({ type, reason }) => type === "Warning" && reason === "PodsRejected",
      ),
    );
    await apply(platform, single("2"));
    await waitFor(
      platform,
      SINGLE,
      "the change that cannot come out",
      ({ status, metadata, ...app }) =>
        status?.observedGeneration === metadata.generation &&
        status.candidate?.modelVersion === "2" &&
        condition({ status, metadata, ...app }, "Stalled")?.reason === "PodsRejected",
    );
  } finally {
    await kubectl("delete", "quota", "frugal");
  }
  await serving(
    platform,
    NAMESPACE,
    SINGLE.name,
    "version 2",
    ({ status }) => status?.current?.modelVersion === "2",
  );
});

it("a Deployment that a person has paused", async () => {
  await kubectl("rollout", "pause", "deployment/single");
  await apply(platform, single("1"));
  const app = await waitFor(
    platform,
    SINGLE,
    "RolloutPaused",
    (one) => condition(one, "Stalled")?.reason === "RolloutPaused",
  );
  expect(condition(app, "Ready")?.status).toBe("True");
  expect(condition(app, "Released")?.message).toContain("kubectl rollout resume deployment/single");
  await kubectl("rollout", "resume", "deployment/single");
  await serving(
    platform,
    NAMESPACE,
    SINGLE.name,
    "version 1",
    ({ status }) => status?.current?.modelVersion === "1",
  );
});

it("an environment variable that a person has added to the Deployment", async () => {
  await kubectl("set", "env", "deployment/single", "DEBUG=1");
  await waitFor(
    platform,
    SINGLE,
    "the entry",
    (app) =>
      isReleased(app) &&
      app.status?.unmanagedEntries?.includes("containers[server].env[DEBUG]") === true,
  );
  const reported = (await eventsOf(platform, NAMESPACE, SINGLE.name)).filter(
    ({ reason }) => reason === "UnmanagedEntries",
  );
  expect(reported).toHaveLength(1);
  // The Deployment controller's own writes aside, one more change than the person's would be a fight.
  const env = await kubectl(
    "get",
    "deployment/single",
    "--output",
    "jsonpath={.spec.template.spec.containers[0].env[*].name}",
  );
  expect(env).toContain("DEBUG");
});

it("objects of a deleted AIApp serve on, and are taken over once they are annotated", async () => {
  await kubectl("delete", "aia", SINGLE.name, "--cascade=orphan");
  await kubectl("delete", "controllerrevision", "--selector", "aiapp.dev/app=single");
  const before = await uids();
  await apply(platform, single("1"));
  await waitFor(
    platform,
    SINGLE,
    "NameConflict",
    (app) => condition(app, "Stalled")?.reason === "NameConflict",
  );
  await kubectl(
    "annotate",
    "deployment,service,serviceaccount",
    "--selector",
    "aiapp.dev/app=single",
    "aiapp.dev/adopt=single",
  );
  await serving(platform, NAMESPACE, SINGLE.name, "the objects that were taken over");
  expect(before).toHaveLength(2);
  expect(await uids()).toEqual(before);
  await kubectl("delete", "aia", SINGLE.name);
});
