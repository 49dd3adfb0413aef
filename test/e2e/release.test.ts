import { join } from "node:path";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { call, connectTo, inference } from "../../model-server/grpc/client.testing.ts";
import { known, models } from "../demo/pictures.ts";
import { condition, readApp, waitFor } from "../support/aiapp.ts";
import type { Platform } from "../support/platform.ts";
import {
  apply,
  ask,
  digits,
  eventsOf,
  imageOf,
  json,
  patch,
  publish,
  serving,
  setUp,
  tearDown,
  traffic,
} from "./harness.ts";

/** One app from its first release through every kind of release, under traffic. */

const NAMESPACE = "e2e-release";
const NAME = "digits";
const GRPC_PORT = 8001;
let platform: Platform;
let image: string;

beforeAll(async () => {
  platform = await setUp(NAMESPACE, ["1"]);
  image = imageOf(platform, NAMESPACE);
});
afterAll(() => tearDown(platform, NAMESPACE));

const until = (what: string, check?: Parameters<typeof serving>[4]) =>
  serving(platform, NAMESPACE, NAME, what, check);

describe("an AIApp", () => {
  it("serves behind a load balancer, with owned objects of its name", async () => {
    await apply(
      platform,
      digits(platform, NAMESPACE, NAME, { replicas: 2, service: { grpcPort: GRPC_PORT } }),
    );
    const app = await until("the first release");

    expect(await ask(app.status?.url)).toMatchObject({ label: "five", modelVersion: "1" });
    expect(condition(app, "Available")).toMatchObject({
      status: "True",
      message: "2 of 2 pods serve",
    });
    expect(condition(app, "SourcesReady")).toMatchObject({ status: "True" });
    expect(condition(app, "Stalled")).toBeUndefined();
    const owned = await names("deployment,service,serviceaccount,poddisruptionbudget");
    expect(owned.split("\n").toSorted()).toEqual([
      "deployment.apps/digits",
      "poddisruptionbudget.policy/digits",
      "service/digits",
      "serviceaccount/digits",
    ]);
    expect((await eventsOf(platform, NAMESPACE, NAME)).map(({ reason }) => reason)).toEqual(
      expect.arrayContaining(["RollingOut", "Released"]),
    );
  });

  it("answers over gRPC at the second port of its Service", async () => {
    const { status } = await readApp(platform, NAMESPACE, NAME);
    const { hostname } = new URL(status?.url ?? "");
    const client = connectTo({ host: hostname, grpcPort: GRPC_PORT });
    const message = { name: NAMESPACE };
    const called = await call(client, inference, "ModelReady", message);
    expect(called).toMatchObject({ details: "", answer: { ready: true } });
    expect(called.metadata.get("aiapp-release")).toEqual([status?.current?.id]);
  });

  it("is shown by kubectl get and by aiapp status", async () => {
    const row = await platform.kubectl(["get", "aia", NAME, "--namespace", NAMESPACE]);
    expect(row).toMatch(/NAME\s+READY\s+IMAGE TAG\s+MODEL\s+STATUS\s+RELEASE\s+URL\s+AGE/);
    expect(row).toMatch(/digits\s+True\s+1\s+1\s+Serving\s+Released\s+http:\/\/10\./);
    const wide = await platform.kubectl([
      "get",
      "aia",
      NAME,
      "--namespace",
      NAMESPACE,
      "--output",
      "wide",
    ]);
    expect(wide).toMatch(/CANDIDATE\s+SOURCES/);
    expect(await platform.aiapp(["status", NAME, "--namespace", NAMESPACE])).toContain("Serving");
  });

  it("rolls out every kind of release without a failed request", async () => {
    const first = await readApp(platform, NAMESPACE, NAME);
    const load = await traffic(first.status?.url);
    const ids = [first.status?.current?.id];
    const next = async (what: string, check: Parameters<typeof serving>[4]): Promise<void> => {
      const app = await until(
        what,
        (one) => !ids.includes(one.status?.current?.id) && (check?.(one) ?? true),
      );
      ids.push(app.status?.current?.id);
    };
    try {
      await publish(platform, NAMESPACE, "2");
      await patch(platform, NAMESPACE, NAME, { modelVersion: "2" });
      await next("version 2", ({ status }) => status?.current?.modelVersion === "2");

      const digest = await platform.push(platform.images.serverNext, image);
      await next("the moved tag", ({ status }) => status?.current?.imageDigest === digest);

      await patch(platform, NAMESPACE, NAME, {
        podTemplate: { metadata: { annotations: { team: "a" } } },
      });
      await next("the new template", () => true);

      await patch(platform, NAMESPACE, NAME, { modelVersion: "latest" });
      // The same pair and the same template: `latest` creates no release while 2 is the newest.
      await waitFor(
        platform,
        { namespace: NAMESPACE, name: NAME },
        "the selector",
        (app) =>
          app.status?.observedGeneration === app.metadata.generation &&
          condition(app, "Released")?.status === "True",
      );
      expect((await readApp(platform, NAMESPACE, NAME)).status?.current?.id).toBe(ids.at(-1));

      await publish(platform, NAMESPACE, "3", join(models, "1"));
      load.expect({ "3": { "hard.png": "five", ...known } });
      await next(
        "a new version under latest",
        ({ status }) => status?.current?.modelVersion === "3",
      );

      await patch(platform, NAMESPACE, NAME, { modelVersion: ">=1 <3" });
      await until("the range", ({ status }) => status?.current?.modelVersion === "2");
    } finally {
      const summary = await load.stop();
      expect(summary.failures).toEqual([]);
      expect(summary.failed).toBe(0);
      expect(summary.requests).toBeGreaterThan(500);
    }
    expect(new Set(ids).size).toBe(5);
  });

  it("keeps records of its releases, and rolls back to one of them", async () => {
    const before = await readApp(platform, NAMESPACE, NAME);
    expect(before.status?.history?.length).toBeGreaterThanOrEqual(5);
    await patch(platform, NAMESPACE, NAME, { modelVersion: "1" });
    const app = await until(
      "version 1 again",
      ({ status }) => status?.current?.modelVersion === "1",
    );
    expect(app.status?.previous?.id).toBe(before.status?.current?.id);
    expect(await ask(app.status?.url)).toMatchObject({ label: "five" });
  });

  it("scales with kubectl scale, and hands replicas over to an autoscaler without losing a pod", async () => {
    const load = await traffic((await readApp(platform, NAMESPACE, NAME)).status?.url);
    try {
      await platform.kubectl(["scale", "aia", NAME, "--namespace", NAMESPACE, "--replicas", "3"]);
      await until("three pods", ({ status }) => status?.readyReplicas === 3);

      await patch(platform, NAMESPACE, NAME, {
        replicas: null,
        autoscaling: { minReplicas: 2, maxReplicas: 4 },
      });
      const hpa = await waitForObject("horizontalpodautoscaler");
      expect(hpa).toMatchObject({ spec: { minReplicas: 2, maxReplicas: 4 } });
      const deployment = await waitForObject("deployment");
      // Without metrics the autoscaler does not change replicas, and neither may the operator.
      expect(deployment).toMatchObject({ spec: { replicas: 3 } });

      await patch(platform, NAMESPACE, NAME, { replicas: 1, autoscaling: null });
      await until("one pod", ({ status }) => status?.replicas === 1 && status.readyReplicas === 1);
      const left = await names("horizontalpodautoscaler,poddisruptionbudget");
      // A budget for one pod would block node drains.
      expect(left).toBe("");
    } finally {
      expect((await load.stop()).failures).toEqual([]);
    }
  });

  it("deletes its owned objects with the AIApp", async () => {
    await platform.kubectl([
      "delete",
      "aia",
      NAME,
      "--namespace",
      NAMESPACE,
      "--cascade=foreground",
      "--timeout=120s",
    ]);
    const left = await names("deployment,service,serviceaccount,controllerrevision");
    expect(left).toBe("");
  });
});

/** The app's owned objects of these kinds, as kubectl names them. */
function names(kinds: string): Promise<string> {
  // prettier-ignore
  return platform.kubectl(["get", kinds, "--namespace", NAMESPACE, "--selector", "aiapp.dev/app=digits", "--output", "name"]);
}

async function waitForObject(kind: string): Promise<unknown> {
  // prettier-ignore
  await platform.kubectl(["wait", `${kind}/${NAME}`, "--namespace", NAMESPACE, "--for=create", "--timeout=60s"]);
  return json(platform, ["get", kind, NAME, "--namespace", NAMESPACE]);
}
