import { request as httpRequest, type IncomingMessage } from "node:http";
import { once } from "node:events";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as delay } from "node:timers/promises";

import { JournalEntry, readEntries } from "../crds/journal.ts";
import { annotations, labels } from "../crds/names.ts";
import { eventually } from "../test/cluster/process.ts";
import { isReleased, patchSpec, readApp, waitFor } from "../test/support/aiapp.ts";
import { models } from "../test/demo/pictures.ts";
import type { Platform } from "../test/support/platform.ts";
import { atMost, median, reported, type Figure } from "./figures.ts";
import { NAMESPACE, withTenant } from "./tenant.ts";

/**
 * Bump to serving: from `kubectl patch` of modelVersion to the first answer of the new version, with verification and
 * without, against `kubectl set image` of a Deployment of the very same shape, in turns in the same run. Each round bumps
 * to a version that was never released: one that was is not verified again.
 */

const VERIFIED = { namespace: NAMESPACE, name: "verified" } as const;
const PLAIN = { namespace: NAMESPACE, name: "plain" } as const;
const MODEL = "release";
const ROUNDS = 5;

interface Version {
  readonly build?: string;
  readonly release?: string;
  readonly model: { readonly version: string };
}

/** The version that answers a new connection; undefined when none does. */
export async function versionAt(url: string): Promise<Version | undefined> {
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
    const answer = await versionAt(url);
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

/** An app's own Deployment and Service under another name, without an owner. */
async function copyBare(platform: Platform): Promise<string> {
  const read = async (kind: string): Promise<unknown> =>
    JSON.parse(
      await platform.kubectl([
        "get",
        kind,
        PLAIN.name,
        "--namespace",
        NAMESPACE,
        "--output",
        "json",
      ]),
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

/** Versions are copies of the example's two, in turn. Each benchmark has a model of its own: a version is published once. */
export function publish(platform: Platform, model: string, version: number): Promise<string> {
  return platform.publish(join(models, version % 2 === 1 ? "1" : "2"), model, String(version));
}

/** An app of version 1 that serves. @returns its address */
export async function startApp(
  platform: Platform,
  where: { readonly namespace: string; readonly name: string },
  { model, ...spec }: { readonly model: string; readonly [field: string]: unknown },
): Promise<string> {
  const app = {
    apiVersion: "aiapp.dev/v1alpha1",
    kind: "AIApp",
    metadata: where,
    spec: {
      image: `${platform.registry}/bench:1`,
      modelVersion: "1",
      model: { store: platform.store, name: model },
      interval: "1m",
      credentials: platform.credentials,
      ...spec,
    },
  };
  await platform.kubectl(["apply", "--filename", "-"], JSON.stringify(app));
  const { status } = await waitFor(platform, where, `app ${where.name}`, isReleased);
  return status?.url ?? "";
}

/** How long the current release was in each phase, by its journal. Milliseconds. */
async function phaseDurations(
  platform: Platform,
  { namespace, name }: typeof VERIFIED,
): Promise<ReadonlyMap<string, number>> {
  const { status } = await readApp(platform, namespace, name);
  const selector = `${labels.app}=${name},${labels.release}=${status?.current?.id}`;
  // prettier-ignore
  const text = await platform.kubectl(["get", "controllerrevisions", "--namespace", namespace, "--selector", selector, "--output", "json"]);
  const { items } = JSON.parse(text) as {
    items: { metadata: { annotations: Record<string, string> } }[];
  };
  const journal = readEntries(items[0]?.metadata.annotations[annotations.journal], JournalEntry);
  return new Map(
    journal.map(({ phase, at }, index) => [
      phase,
      Date.parse(journal[index + 1]?.at ?? at) - Date.parse(at),
    ]),
  );
}

export function run(): Promise<readonly Figure[]> {
  return withTenant(measureReleases);
}

async function measureReleases(platform: Platform): Promise<readonly Figure[]> {
  const repository = `${platform.registry}/bench`;
  const next = await platform.push(platform.images.serverNext, `${repository}:2`);
  const first = await platform.push(platform.images.server, `${repository}:1`);
  await publish(platform, MODEL, 1);
  const urls = {
    verified: await startApp(platform, VERIFIED, { model: MODEL }),
    plain: await startApp(platform, PLAIN, { model: MODEL, verify: { enabled: false } }),
    bare: await copyBare(platform),
  };
  const settle = async (): Promise<void> => {
    for (const where of [VERIFIED, PLAIN])
      await waitFor(platform, where, `app ${where.name}`, isReleased);
    await platform.kubectl(["rollout", "status", "deployment/bare", "--namespace", NAMESPACE]);
    // Pods that terminate must not answer in the next round.
    await eventually("pods to end", 120_000, async () => {
      const template = "{{range .items}}{{.metadata.deletionTimestamp}}{{end}}";
      // prettier-ignore
      const ending = await platform.kubectl(["get", "pods", "--namespace", NAMESPACE, "--output", `go-template=${template}`]);
      return ending.replaceAll("<no value>", "") === "";
    });
    await delay(2000);
  };
  const bump = async (
    where: typeof VERIFIED | typeof PLAIN,
    modelVersion: string,
  ): Promise<number> => {
    await settle();
    return measure(
      () => patchSpec(platform, where, { modelVersion }),
      urls[where.name],
      ({ model }) => model.version === modelVersion,
    );
  };
  const setImage = async (build: "1" | "2"): Promise<number> => {
    await settle();
    const image = `server=${repository}@${build === "1" ? first : next}`;
    return measure(
      // prettier-ignore
      () => platform.kubectl(["set", "image", "deployment/bare", image, "--namespace", NAMESPACE]),
      urls.bare,
      (answer) => answer.build === build,
    );
  };

  const times = { verified: [] as number[], plain: [] as number[], bare: [] as number[] };
  const phases = { Verifying: [] as number[], RollingOut: [] as number[] };
  // The first round pulls images that are not on the node yet, and does not count.
  for (let round = 0; round <= ROUNDS; round += 1) {
    await publish(platform, MODEL, round + 2);
    const verified = await bump(VERIFIED, String(round + 2));
    const plain = await bump(PLAIN, String(round + 2));
    const bare = await setImage(round % 2 === 0 ? "2" : "1");
    if (round === 0) continue;
    times.verified.push(verified);
    times.plain.push(plain);
    times.bare.push(bare);
    const durations = await phaseDurations(platform, VERIFIED);
    phases.Verifying.push(durations.get("Verifying") ?? Number.NaN);
    phases.RollingOut.push(durations.get("RollingOut") ?? Number.NaN);
  }
  const [verified, plain, bare] = [median(times.verified), median(times.plain), median(times.bare)];
  return [
    reported("bump of modelVersion to first answer, verified", verified / 1000, "s"),
    reported("  of that, the verification", median(phases.Verifying) / 1000, "s"),
    reported("  of that, the rollout", median(phases.RollingOut) / 1000, "s"),
    reported("bump of modelVersion to first answer, unverified", plain / 1000, "s"),
    reported("kubectl set image to first answer, same shape", bare / 1000, "s"),
    atMost("verified, against kubectl set image", verified / bare, "×", 2),
    atMost("unverified, against kubectl set image", plain / bare, "×", 1.05),
  ];
}
