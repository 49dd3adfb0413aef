import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";

import { parse } from "yaml";
import { z } from "zod";

import type { AIApp } from "../../crds/aiapp/aiapp.ts";
import type { ReleaseStatus } from "../../crds/aiapp/status.ts";
import { annotations } from "../../crds/names.ts";
import { condition, isReleased, waitFor } from "../support/aiapp.ts";
import { publishWrong } from "../support/publish.ts";
import {
  connectPlatform,
  createTenant,
  installOperator,
  type Platform,
} from "../support/platform.ts";
import { removeNamespaces } from "../support/trial.ts";
import { startTraffic, type Traffic } from "../traffic/start.ts";
import type { Summary } from "../traffic/tally.ts";
import { accuracy, untilServedBy, score } from "./accuracy.ts";
import { createNarrator } from "./narrate.ts";
import { expectations, figures, heldOut, models, pictureFile, pictureFiles } from "./pictures.ts";

/** The demo: one app and its releases, good and bad, under traffic. Runs in the cluster's network. */

const NAMESPACE = "demo";
const APP = { namespace: NAMESPACE, name: "digits" } as const;
const RATE = 80;
/** Those that are rolled out after the first one: a model, an image, a model without the image beside it, and back. */
const RELEASES = 4;
const MANIFEST = join(import.meta.dirname, "..", "..", "examples", "digits", "aiapp.yaml");

const Example = z.looseObject({ spec: z.looseObject({ model: z.looseObject({}) }) });

const narrator = createNarrator(process.stdout, () => performance.now());
const { step, say, heading } = narrator;

async function released(
  platform: Platform,
  what: string,
  check: (app: AIApp) => boolean,
): Promise<AIApp> {
  const app = await waitFor(platform, APP, what, (app) => isReleased(app) && check(app));
  const { url = "", current } = app.status ?? {};
  const png = Uint8Array.from(await readFile(pictureFile("3")));
  await untilServedBy(current?.id, () => score(url, png, AbortSignal.timeout(30_000)));
  return app;
}

async function setVersion(platform: Platform, version: string): Promise<AIApp> {
  await patchSpec(platform, { modelVersion: version });
  return released(
    platform,
    `version ${version}`,
    ({ status }) => status?.current?.modelVersion === version,
  );
}

/** Applies the example; on another cluster with the names of its registry and store. */
async function applyExample(platform: Platform, image: string): Promise<void> {
  const apply = ["apply", "--namespace", NAMESPACE, "--filename"];
  if (platform.given.kind === "local") {
    await platform.kubectl([...apply, MANIFEST]);
    return;
  }
  const example = Example.parse(parse(await readFile(MANIFEST, "utf8")));
  const { store, credentials } = platform;
  const spec = { ...example.spec, image, model: { ...example.spec.model, store }, credentials };
  await platform.kubectl([...apply, "-"], JSON.stringify({ ...example, spec }));
}

async function setUp(platform: Platform): Promise<string> {
  const image = `${platform.registry}/digits:1`;
  heading("A registry, a storage account, an operator");
  // An earlier run with --keep may have left it.
  await removeNamespaces(platform.kubectl, [NAMESPACE]);
  await step("create the namespace demo, with Secrets for storage and registry", () =>
    createTenant(platform, NAMESPACE),
  );
  await step(`push the code image ${image}`, () => platform.push(platform.images.server, image));
  await step("publish digits version 1: aiapp publish examples/digits/models/1", () =>
    platform.publish(join(models, "1"), "digits", "1"),
  );
  await step("install the operator: helm install aiapp-operator charts/aiapp-operator", () =>
    installOperator(platform, { tenants: [NAMESPACE] }),
  );

  heading("Apply one resource");
  const app = await step(
    "kubectl apply -f examples/digits/aiapp.yaml, and wait until it serves",
    async () => {
      await applyExample(platform, image);
      return released(platform, "version 1", ({ status }) => status?.current?.modelVersion === "1");
    },
  );
  const url = app.status?.url ?? "";
  say(`${url}, release ${app.status?.current?.id}`);
  const png = Uint8Array.from(await readFile(pictureFile("3")));
  const scored = await step("score examples/digits/pictures/3.png through its load balancer", () =>
    score(url, png, AbortSignal.timeout(30_000)),
  );
  say(
    `label ${scored.label}, ${scored.percent.toFixed(1)} %, model version ${scored.modelVersion}`,
  );
  return url;
}

interface Result {
  readonly releases: ReadonlySet<string>;
  readonly accuracies: readonly (readonly [version: string, share: number])[];
}

async function release(platform: Platform, url: string, first: string): Promise<Result> {
  const pictures = await heldOut();
  const releases = new Set<string>();
  const measure = (version: string): Promise<number> =>
    step(`score ${pictures.length} held-out pictures`, () =>
      accuracy(url, pictures, version, AbortSignal.timeout(120_000)),
    );
  const report = (app: AIApp): void => {
    const id = app.status?.current?.id ?? "";
    if (id !== first) releases.add(id);
    say(
      `release ${id}: image ${app.status?.current?.imageDigest.slice(0, 19)}, model ${app.status?.current?.modelVersion}`,
    );
  };

  const one = await measure("1");
  heading("A data scientist publishes a better model");
  await step("publish digits version 2", () => platform.publish(join(models, "2"), "digits", "2"));
  report(
    await step("set modelVersion to 2, and wait until it is fully rolled out", () =>
      setVersion(platform, "2"),
    ),
  );
  const two = await measure("2");

  heading("An app developer pushes new code under the same tag");
  const image = `${platform.registry}/digits:1`;
  const digest = await step(`push a newer build as ${image}`, () =>
    platform.push(platform.images.serverNext, image),
  );
  report(
    await step("wait until the operator has rolled out the new digest", () =>
      released(
        platform,
        "the newer build",
        ({ status }) => status?.current?.imageDigest === digest,
      ),
    ),
  );

  await refuseModel(platform);
  report(await releaseGoodHalf(platform, image));

  heading("Roll back at once");
  report(
    await step(
      "set modelVersion back to 1 and rollout.strategy to BlueGreen, and wait until it is fully rolled out",
      async () => {
        await patchSpec(platform, { rollout: { strategy: "BlueGreen" } });
        return setVersion(platform, "1");
      },
    ),
  );
  await hold(platform);
  return {
    releases,
    accuracies: [
      ["1", one],
      ["2", two],
    ],
  };
}

/** A model version whose samples it does not score as recorded. */
async function refuseModel(platform: Platform): Promise<void> {
  heading("A data scientist publishes a model that is wrong");
  await step("publish digits version 3, which does not score its own samples", () =>
    publishWrong(platform, "digits", "3", "2"),
  );
  const app = await step(
    "set modelVersion to 3, and wait until the operator has verified it",
    async () => {
      await patchSpec(platform, { modelVersion: "3" });
      return waitFor(platform, APP, "the failure", (one) => failed(one, "3") !== undefined);
    },
  );
  say(`Ready is ${condition(app, "Ready")?.status}: ${condition(app, "Ready")?.message}`);
  say(`refused before any request: ${condition(app, "Released")?.message.slice(0, 300)}`);
}

/** A code image that crashes and a good model, published together. */
async function releaseGoodHalf(platform: Platform, image: string): Promise<AIApp> {
  heading("A broken image and a good model arrive together");
  const good = (
    await waitFor(platform, APP, "a release", ({ status }) => status?.current !== undefined)
  ).status?.current?.imageDigest;
  await step(`push an image that crashes as ${image}, publish digits version 4`, async () => {
    await platform.push(platform.images.operator, image);
    await platform.publish(join(models, "2"), "digits", "4");
  });
  const app = await step(
    "set modelVersion to 4, and wait for what the operator makes of it",
    async () => {
      await patchSpec(platform, { modelVersion: "4" });
      return waitFor(
        platform,
        APP,
        "the good half",
        ({ status }) =>
          status?.current?.modelVersion === "4" && status.current.imageDigest === good,
      );
    },
  );
  say(`the new model serves with the image before it`);
  say(failed(app, "4")?.message?.slice(0, 300) ?? "");
  await step(`push the good image as ${image} again`, () =>
    platform.push(platform.images.serverNext, image),
  );
  return released(
    platform,
    "the good image",
    ({ status }) => status?.current?.modelVersion === "4",
  );
}

/** Back to the release before, by an annotation. */
async function hold(platform: Platform): Promise<void> {
  const before = await waitFor(platform, APP, "a release", isReleased);
  const id = before.status?.previous?.id ?? "";
  const url = before.status?.url ?? "";
  const png = Uint8Array.from(await readFile(pictureFile("3")));
  const began = performance.now();
  await step(
    `kubectl annotate aia digits aiapp.dev/hold=${id}, and wait for its first response`,
    async () => {
      // prettier-ignore
      await platform.kubectl(["annotate", "aia", APP.name, "--namespace", NAMESPACE, "--overwrite", `${annotations.hold}=${id}`]);
      await untilServedBy(id, () => score(url, png, AbortSignal.timeout(30_000)));
    },
  );
  say(`release ${id} serves again after ${((performance.now() - began) / 1000).toFixed(1)} s`);
}

function failed(app: AIApp, version: string): ReleaseStatus | undefined {
  return app.status?.history?.find(
    ({ modelVersion, phase, message }) =>
      modelVersion === version && phase === "Failed" && message?.includes("to blame"),
  );
}

async function patchSpec(platform: Platform, spec: unknown): Promise<void> {
  const patch = JSON.stringify({ spec });
  // prettier-ignore
  await platform.kubectl(["patch", "aia", APP.name, "--namespace", NAMESPACE, "--type", "merge", "--patch", patch]);
}

function describe(summary: Summary): void {
  for (const [kind, { requests, connections, latencyMs }] of Object.entries(summary.kinds)) {
    if (requests > 0)
      say(
        `${kind}: ${requests} requests on ${connections} connections, half within ${latencyMs.p50.toFixed(0)} ms, 99 % within ${latencyMs.p99.toFixed(0)} ms`,
      );
  }
  for (const { kind, reason, detail } of summary.failures.slice(0, 5))
    say(`failed: ${kind}, ${reason}: ${detail}`);
}

function printCommands(url: string): void {
  heading("The cluster keeps running. Commands to try:");
  say("npm run cluster -- exec -- kubectl get aia --namespace demo --watch");
  say(
    `npm run cluster -- exec -- curl -H 'Content-Type: image/png' --data-binary @examples/digits/pictures/7.png ${url}/score`,
  );
  say("npm run cluster -- exec -- kubectl edit aia digits --namespace demo");
  say("npm run cluster -- down");
}

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { keep: { type: "boolean", default: false } } });
  const platform = connectPlatform(process.env);
  const url = await setUp(platform);
  const first = (await waitFor(platform, APP, "a release", isReleased)).status?.current?.id ?? "";

  heading(`Traffic: ${RATE} requests a second, with keep-alive and without`);
  const known = await expectations();
  const traffic: Traffic = startTraffic({
    url: `${url}/score`,
    pictures: pictureFiles,
    rate: RATE,
    strict: true,
    // Version 4 is published from the same files as version 2.
    expectations: { ...known, "4": known["2"] ?? {} },
  });
  let result: Result;
  let summary: Summary;
  try {
    result = await release(platform, url, first);
  } finally {
    // Long enough for the pods of the last release to leave.
    summary = await step("let the last pods leave, and stop the traffic", async () => {
      await delay(8000);
      return traffic.stop();
    });
  }
  if (values.keep) printCommands(url);

  heading("Summary");
  describe(summary);
  const trained = await figures();
  const asTrained = result.accuracies.every(
    ([version, share]) => Math.abs(share - (trained[version]?.accuracy ?? 0)) < 0.0001,
  );
  console.log(`releases: ${result.releases.size}`);
  console.log(`requests: ${summary.requests}`);
  console.log(`failed requests: ${summary.failed}`);
  for (const [version, share] of result.accuracies)
    console.log(`accuracy of version ${version}: ${(share * 100).toFixed(2)} %`);
  const rate = summary.requests / summary.seconds;
  const problems = [
    summary.failed > 0 && "requests failed",
    result.releases.size !== RELEASES && `there should be ${RELEASES} releases`,
    !asTrained && "the accuracies differ from those of examples/digits/figures.json",
    (rate < 50 || summary.dropped > 0) &&
      `the driver made too few requests: ${rate.toFixed(1)} a second`,
  ].filter((problem) => problem !== false);
  for (const problem of problems) console.log(`not as it should be: ${problem}`);
  return problems.length === 0 ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
