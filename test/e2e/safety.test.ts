import { join } from "node:path";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import type { AIApp } from "../../crds/aiapp/aiapp.ts";
import { annotations } from "../../crds/names.ts";
import type { V1Pod } from "../../operator/kube/types.ts";
import { known, models } from "../demo/pictures.ts";
import { condition, readApp, waitFor } from "../support/aiapp.ts";
import type { Platform } from "../support/platform.ts";
import { publishWrong } from "../support/publish.ts";
import type { Traffic } from "../traffic/start.ts";
import {
  annotate,
  apply,
  ask,
  crashesInRollout,
  digits,
  everyKind,
  imageOf,
  list,
  patch,
  publish,
  serving,
  setUp,
  tearDown,
  traffic,
} from "./harness.ts";

/** Releases that are verified, undone, held: on the real cluster, under traffic from the first test to the last. */

const NAMESPACE = "e2e-safety";
const NAME = "digits";
const WHERE = { namespace: NAMESPACE, name: NAME } as const;
let platform: Platform;
let image: string;
let goodDigest: string | undefined;
let load: Traffic;

beforeAll(async () => {
  platform = await setUp(NAMESPACE, ["1"]);
  image = imageOf(platform, NAMESPACE);
  await apply(platform, digits(platform, NAMESPACE, NAME, { modelVersion: "latest", replicas: 2 }));
  const app = await until("the first release", () => true);
  goodDigest = app.status?.current?.imageDigest;
  load = await traffic(app.status?.url, everyKind);
});
afterAll(() => tearDown(platform, NAMESPACE));

const until = (what: string, check: (app: AIApp) => boolean): Promise<AIApp> =>
  serving(platform, NAMESPACE, NAME, what, check);

/** Waits until a release of a model version is quarantined. */
const quarantined = (version: string): Promise<AIApp> =>
  waitFor(platform, WHERE, `the failure of version ${version}`, ({ status }) => {
    const record = status?.history?.find(
      (one) => one.modelVersion === version && one.phase === "Failed",
    );
    return record?.message !== undefined && status?.candidate === undefined;
  });

function pods(selector: string): Promise<readonly V1Pod[]> {
  return list<V1Pod>(platform, NAMESPACE, "pods", selector);
}

describe("a release", () => {
  it("was verified by a Job, which is gone afterwards", async () => {
    const app = await readApp(platform, NAMESPACE, NAME);
    expect(app.status?.current).toMatchObject({ modelVersion: "1", phase: "Released" });
    expect(await list(platform, NAMESPACE, "jobs")).toEqual([]);
  });

  it("whose samples fail is refused before any request, and says why", async () => {
    await publishWrong(platform, NAMESPACE, "2", "2");
    const app = await quarantined("2");
    const failed = app.status?.history?.find(({ modelVersion }) => modelVersion === "2");
    expect(failed?.message).toContain("model version 2 is to blame");
    expect(app.status?.current).toMatchObject({ modelVersion: "1" });
    expect(condition(app, "Ready")).toMatchObject({ status: "True" });
    // Polling found it: a GitOps tool sees the spec as applied.
    expect(condition(app, "Stalled")).toBeUndefined();
    expect(condition(app, "Reconciling")).toBeUndefined();
    expect(await pods(`aiapp.dev/release=${failed?.id},aiapp.dev/traffic=true`)).toEqual([]);
  });

  it("of a crashing image and a good model gives the model alone", async () => {
    await Promise.all([
      platform.push(platform.images.operator, image),
      publish(platform, NAMESPACE, "3", join(models, "2")),
    ]);
    load.expect({ "3": { "hard.png": "nine", ...known } });
    // What was asked for has failed, so the app does not count as released.
    const app = await waitFor(
      platform,
      WHERE,
      "the good half",
      ({ status }) =>
        status?.candidate === undefined &&
        status?.current?.modelVersion === "3" &&
        status.current.imageDigest === goodDigest,
    );
    const whole = app.status?.history?.find(
      ({ modelVersion, phase }) => modelVersion === "3" && phase === "Failed",
    );
    expect(whole?.message).toContain("is to blame");
    expect(whole?.message).toContain("the code image");
  });

  it("that passes its verification and crashes in its rollout is undone", async () => {
    await platform.push(platform.images.server, image);
    const before = (await readApp(platform, NAMESPACE, NAME)).status?.current?.id;
    await patch(platform, NAMESPACE, NAME, crashesInRollout);
    const app = await waitFor(
      platform,
      WHERE,
      "the undo",
      (one) => condition(one, "Stalled")?.reason === "PodCrashing" && one.status?.replicas === 2,
    );
    expect(condition(app, "Ready")).toMatchObject({ status: "True" });
    expect(app.status?.current?.id).toBe(before);
    await patch(platform, NAMESPACE, NAME, { env: null, podTemplate: null });
    await until("the spec as before", ({ status }) => status?.current?.id === before);
  });

  it("is verified by the user's own container too, whose last lines are shown", async () => {
    const server = `${image.replace(/:1$/, "")}@${goodDigest}`;
    const script = "console.error('accuracy 0.42 is below 0.9'); process.exit(7)";
    await patch(platform, NAMESPACE, NAME, {
      verify: { job: { image: server, command: ["node", "-e", script] } },
    });
    await publish(platform, NAMESPACE, "4", join(models, "1"));
    const app = await quarantined("4");
    await patch(platform, NAMESPACE, NAME, { verify: null });
    const failed = app.status?.history?.find(({ modelVersion }) => modelVersion === "4");
    expect(failed).toMatchObject({ reason: "VerificationFailed" });
    expect(failed?.message).toContain("accuracy 0.42 is below 0.9");
  });

  it("is tried again when a user asks, and is then rolled out", async () => {
    await patch(platform, NAMESPACE, NAME, { verify: null });
    load.expect({ "4": { "hard.png": "five", ...known } });
    const app = await readApp(platform, NAMESPACE, NAME);
    const failed = app.status?.history?.find(({ modelVersion }) => modelVersion === "4");
    await annotate(platform, NAMESPACE, NAME, annotations.retry, failed?.id);
    const again = await until("version 4", ({ status }) => status?.current?.modelVersion === "4");
    expect(again.status?.current?.id).toBe(failed?.id);
  });

  it("that is held serves within seconds, and automation does not move past it", async () => {
    const { status } = await readApp(platform, NAMESPACE, NAME);
    const previous = status?.previous;
    await annotate(platform, NAMESPACE, NAME, annotations.hold, previous?.id);
    const held = await waitFor(
      platform,
      WHERE,
      "the held release",
      (app) =>
        app.status?.current?.id === previous?.id && condition(app, "Released")?.reason === "Held",
    );
    expect(condition(held, "Ready")).toMatchObject({ status: "True" });
    // Who asked stays in the history.
    expect(held.status?.history?.find(({ id }) => id === previous?.id)?.by).toMatch(
      /^kubectl-annotate at 20/,
    );
    await publish(platform, NAMESPACE, "5", join(models, "2"));
    load.expect({ "5": { "hard.png": "nine", ...known } });
    await waitFor(
      platform,
      WHERE,
      "version 5 to be found",
      (app) =>
        app.status?.sources?.model?.seen === "5" || condition(app, "Released")?.reason === "Held",
    );
    expect((await readApp(platform, NAMESPACE, NAME)).status?.current?.id).toBe(previous?.id);
    await annotate(platform, NAMESPACE, NAME, annotations.hold, undefined);
    await until("version 5", (app) => app.status?.current?.modelVersion === "5");
  });

  it("waits for approval by its id", async () => {
    await patch(platform, NAMESPACE, NAME, { release: { approval: "Manual" } });
    await publish(platform, NAMESPACE, "6", join(models, "1"));
    load.expect({ "6": { "hard.png": "five", ...known } });
    const app = await waitFor(
      platform,
      WHERE,
      "a release that waits",
      ({ status }) => status?.candidate?.phase === "AwaitingApproval",
    );
    expect(app.status?.current?.modelVersion).toBe("5");
    await annotate(platform, NAMESPACE, NAME, annotations.approve, app.status?.candidate?.id);
    await until("version 6", ({ status }) => status?.current?.modelVersion === "6");
    expect(await ask(app.status?.url)).toMatchObject({ modelVersion: "6" });
  });

  it("failed no request and gave no wrong response through all of this", async () => {
    const summary = await load.stop();
    expect(summary.failures).toEqual([]);
    expect(summary.requests).toBeGreaterThan(1000);
  });
});
