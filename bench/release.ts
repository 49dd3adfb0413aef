import { request as httpRequest, type IncomingMessage } from "node:http";
import { once } from "node:events";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as delay } from "node:timers/promises";

import { isReleased, waitFor } from "../test/support/aiapp.ts";
import { models } from "../test/demo/pictures.ts";
import type { Platform } from "../test/support/platform.ts";
import { atMost, median, reported, type Figure } from "./figures.ts";
import { NAMESPACE, withTenant } from "./tenant.ts";

/**
 * Bump to serving: from `kubectl patch` of modelVersion to the first answer of the new version, against `kubectl set
 * image` of a Deployment of the very same shape, in turns in the same run. Both images are on the node before.
 */

const APP = { namespace: NAMESPACE, name: "app" } as const;
const ROUNDS = 5;

interface Version {
  readonly build?: string;
  readonly model: { readonly version: string };
}

/** The version that answers a new connection; undefined when none does. */
async function version(url: string): Promise<Version | undefined> {
  const request = httpRequest(new URL("/version", url), {
    agent: false,
    signal: AbortSignal.timeout(5000),
  });
  request.end();
  try {
    const [response] = (await once(request, "response")) as [IncomingMessage];
    const body = await text(response);
    return response.statusCode === 200 ? (JSON.parse(body) as Version) : undefined;
  } catch {
    return undefined;
  }
}

/** Milliseconds from the change to the first response of the new version. */
async function measure(
  change: () => Promise<unknown>,
  url: string,
  isNew: (version: Version) => boolean,
): Promise<number> {
  const began = performance.now();
  const changed = change();
  for (;;) {
    const answer = await version(url);
    if (answer !== undefined && isNew(answer)) break;
    if (performance.now() - began > 120_000) throw new Error(`nothing new answers at ${url}`);
    await delay(10);
  }
  const ms = performance.now() - began;
  await changed;
  return ms;
}

interface Deployment {
  readonly spec: { readonly template: { readonly metadata: object; readonly spec: object } };
}

/** The app's own Deployment and Service under another name, without an owner. */
async function copyBare(platform: Platform): Promise<string> {
  const read = async (kind: string): Promise<unknown> =>
    JSON.parse(
      await platform.kubectl(["get", kind, APP.name, "--namespace", NAMESPACE, "--output", "json"]),
    );
  const { spec } = (await read("deployment")) as Deployment;
  const labels = { app: "bare" };
  const metadata = { name: "bare", namespace: NAMESPACE };
  const template = { ...spec.template, metadata: { ...spec.template.metadata, labels } };
  const deployment = {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata,
    spec: { ...spec, selector: { matchLabels: labels }, template },
  };
  const service = {
    apiVersion: "v1",
    kind: "Service",
    metadata,
    spec: { type: "LoadBalancer", selector: labels, ports: [{ port: 80, targetPort: "http" }] },
  };
  for (const object of [deployment, service])
    await platform.kubectl(["apply", "--filename", "-"], JSON.stringify(object));
  await platform.kubectl(["rollout", "status", "deployment/bare", "--namespace", NAMESPACE]);
  // prettier-ignore
  await platform.kubectl(["wait", "service/bare", "--namespace", NAMESPACE, "--for=jsonpath={.status.loadBalancer.ingress}"]);
  // prettier-ignore
  const address = await platform.kubectl(["get", "service", "bare", "--namespace", NAMESPACE, "--output", "jsonpath={.status.loadBalancer.ingress[0].ip}"]);
  return `http://${address}`;
}

async function setUp(
  platform: Platform,
): Promise<{ url: string; images: readonly [string, string] }> {
  const repository = `${platform.registry}/bench`;
  const next = await platform.push(platform.images.serverNext, `${repository}:2`);
  const first = await platform.push(platform.images.server, `${repository}:1`);
  for (const one of ["1", "2"]) await platform.publish(join(models, one), "bench", one);
  const app = {
    apiVersion: "aiapp.dev/v1alpha1",
    kind: "AIApp",
    metadata: { name: APP.name, namespace: NAMESPACE },
    spec: {
      image: `${repository}:1`,
      // Releases that serve again are not verified again: rounds would not be alike.
      verify: { enabled: false },
      modelVersion: "1",
      model: { store: platform.store, name: "bench" },
      interval: "1m",
      credentials: platform.credentials,
    },
  };
  await platform.kubectl(["apply", "--filename", "-"], JSON.stringify(app));
  const { status } = await waitFor(platform, APP, "the app", isReleased);
  return { url: status?.url ?? "", images: [`${repository}@${first}`, `${repository}@${next}`] };
}

export function run(): Promise<readonly Figure[]> {
  return withTenant(measureReleases);
}

async function measureReleases(platform: Platform): Promise<readonly Figure[]> {
  const { url, images } = await setUp(platform);
  const bareUrl = await copyBare(platform);
  const setImage = (image: string): Promise<string> =>
    platform.kubectl([
      "set",
      "image",
      "deployment/bare",
      `server=${image}`,
      "--namespace",
      NAMESPACE,
    ]);
  const settle = async (): Promise<void> => {
    await waitFor(platform, APP, "the app", isReleased);
    await platform.kubectl(["rollout", "status", "deployment/bare", "--namespace", NAMESPACE]);
    // Pods that terminate must not answer in the next round.
    // prettier-ignore
    await platform.kubectl(["wait", "pods", "--namespace", NAMESPACE, "--all", "--for=condition=Ready", "--timeout=120s"]).catch(() => {});
    await delay(8000);
  };

  const bumps: number[] = [];
  const bare: number[] = [];
  // The first round pulls images that are not on the node yet, and does not count.
  for (let round = 0; round <= ROUNDS; round += 1) {
    const [modelVersion, build] = round % 2 === 0 ? ["2", "2"] : ["1", "1"];
    await settle();
    const patch = JSON.stringify({ spec: { modelVersion } });
    const bump = await measure(
      // prettier-ignore
      () => platform.kubectl(["patch", "aia", APP.name, "--namespace", NAMESPACE, "--type", "merge", "--patch", patch]),
      url,
      ({ model }) => model.version === modelVersion,
    );
    await settle();
    const image = images[build === "1" ? 0 : 1] ?? "";
    const set = await measure(
      () => setImage(image),
      bareUrl,
      (answer) => answer.build === build,
    );
    if (round === 0) continue;
    bumps.push(bump);
    bare.push(set);
  }
  return [
    reported("bump of modelVersion to first answer", median(bumps) / 1000, "s"),
    reported("kubectl set image to first answer, same shape", median(bare) / 1000, "s"),
    atMost("bump to serving, against kubectl set image", median(bumps) / median(bare), "×", 1.3),
  ];
}
