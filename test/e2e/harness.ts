import { join } from "node:path";

import { expectations, models, pictureFile, pictureFiles } from "../demo/pictures.ts";
import { untilServedBy, score, type Scored } from "../demo/accuracy.ts";
import { readFile } from "node:fs/promises";

import type { AIApp } from "../../crds/aiapp/aiapp.ts";
import { isReleased, patchSpec, waitFor } from "../support/aiapp.ts";
import {
  connectPlatform,
  createTenant,
  installOperator,
  type Platform,
} from "../support/platform.ts";
import { removeNamespaces } from "../support/trial.ts";
import { startTraffic, type Traffic, type TrafficOptions } from "../traffic/start.ts";

/** The setup of every e2e file and the soak: the operator, installed by its chart, and a namespace for each file. */

const NAMESPACES = [
  "e2e-release",
  "e2e-disruption",
  "e2e-faults",
  "e2e-safety",
  "e2e-cluster",
  "e2e-recoverable",
  "e2e-strategies",
  "soak",
] as const;
export type Namespace = (typeof NAMESPACES)[number];

/** The code image of a namespace's apps. */
export function imageOf(platform: Platform, namespace: Namespace): string {
  return `${platform.registry}/${namespace}:1`;
}

/** Installs the operator and creates all namespaces, empty, once for all files of a run. */
export async function install(): Promise<Platform> {
  const platform = connectPlatform(process.env);
  await removeNamespaces(platform.kubectl, NAMESPACES);
  for (const namespace of NAMESPACES) await createTenant(platform, namespace);
  await installOperator(platform, { tenants: NAMESPACES });
  return platform;
}

/** Deletes the namespaces, without waiting for their pods to terminate: the next `install` waits if necessary. */
export async function uninstall(platform: Platform): Promise<void> {
  await removeNamespaces(platform.kubectl, NAMESPACES, "--wait=false");
}

/** Pushes a namespace's code image, and publishes versions of a model of its name. */
export async function setUp(namespace: Namespace, versions: readonly string[]): Promise<Platform> {
  const platform = connectPlatform(process.env);
  await platform.push(platform.images.server, imageOf(platform, namespace));
  for (const version of versions) await publish(platform, namespace, version);
  return platform;
}

/** Deletes a namespace's apps with their owned objects. */
export async function tearDown(platform: Platform, namespace: Namespace): Promise<void> {
  if (platform.given.kind === "local") await platform.clearFaults();
  await platform.kubectl(["delete", "aia", "--all", "--namespace", namespace, "--wait=false"]);
}

export type Spec = Readonly<Record<string, unknown>>;

/** An AIApp of the digits model; `spec` overrides its fields. */
export function digits(
  platform: Platform,
  namespace: Namespace,
  name: string,
  spec: Spec = {},
): object {
  return {
    apiVersion: "aiapp.dev/v1alpha1",
    kind: "AIApp",
    metadata: { name, namespace },
    spec: {
      image: imageOf(platform, namespace),
      modelVersion: "1",
      model: { store: platform.store, name: namespace },
      interval: "1s",
      credentials: platform.credentials,
      ...spec,
    },
  };
}

export async function apply(platform: Platform, object: object): Promise<string> {
  return platform.kubectl(["apply", "--filename", "-"], JSON.stringify(object));
}

export async function patch(
  platform: Platform,
  namespace: Namespace,
  name: string,
  spec: unknown,
): Promise<void> {
  await patchSpec(platform, { namespace, name }, spec);
}

/** Sets an annotation of an AIApp, or removes it (`undefined`). */
export async function annotate(
  platform: Platform,
  namespace: Namespace,
  name: string,
  annotation: string,
  value: string | undefined,
): Promise<void> {
  const change = value === undefined ? `${annotation}-` : `${annotation}=${value}`;
  await platform.kubectl([
    "annotate",
    "aia",
    name,
    "--namespace",
    namespace,
    "--overwrite",
    change,
  ]);
}

/** Publishes one of the example's versions under a name and a version. */
export async function publish(
  platform: Platform,
  model: string,
  version: string,
  folder: string = join(models, version),
): Promise<void> {
  await platform.publish(folder, model, version);
}

/** Waits until the app is released, `check` holds, and new connections lead to that release only. */
export async function serving(
  platform: Platform,
  namespace: Namespace,
  name: string,
  what: string,
  check: (app: AIApp) => boolean = () => true,
  routedWithinMs?: number,
): Promise<AIApp> {
  const app = await waitFor(
    platform,
    { namespace, name },
    what,
    (one) => isReleased(one) && check(one),
  );
  const { url, current } = app.status ?? {};
  await untilServedBy(current?.id, () => ask(url).catch(() => undefined), routedWithinMs);
  return app;
}

/** Scores the picture that the versions score differently. */
export async function ask(url: string | undefined): Promise<Scored> {
  const png = Uint8Array.from(await readFile(pictureFile("hard")));
  return score(url ?? "", png, AbortSignal.timeout(15_000));
}

/** Sends traffic to an app; every response must be right for the version that it names. */
export async function traffic(
  url: string | undefined,
  options: Partial<TrafficOptions> = {},
): Promise<Traffic> {
  return startTraffic({
    url: `${url}/score`,
    pictures: pictureFiles,
    rate: 60,
    strict: true,
    expectations: await expectations(),
    ...options,
  });
}

/** Every kind of request. */
export const everyKind = {
  rate: 40,
  pipelined: { connections: 2, depth: 4 },
  idle: { connections: 4, seconds: 7 },
  long: { connections: 2, seconds: 4 },
} as const satisfies Partial<TrafficOptions>;

export interface KubernetesEvent {
  readonly type: string;
  readonly reason: string;
  readonly message: string;
}

/** The events of one AIApp, as `kubectl describe` shows them. */
export async function eventsOf(
  platform: Platform,
  namespace: Namespace,
  name: string,
): Promise<readonly KubernetesEvent[]> {
  // prettier-ignore
  const text = await platform.kubectl(["get", "events", "--namespace", namespace, "--field-selector", `involvedObject.name=${name},involvedObject.kind=AIApp`, "--output", "json"]);
  return (JSON.parse(text) as { items: KubernetesEvent[] }).items;
}

export async function json<T>(platform: Platform, args: readonly string[]): Promise<T> {
  return JSON.parse(await platform.kubectl([...args, "--output", "json"])) as T;
}

/** The objects of a kind in a namespace, as kubectl lists them. */
export async function list<T>(
  platform: Platform,
  namespace: Namespace,
  kind: string,
  selector = "",
): Promise<readonly T[]> {
  const args = ["get", kind, "--namespace", namespace, "--selector", selector];
  return (await json<{ items: readonly T[] }>(platform, args)).items;
}

/** A change of the spec whose pods pass their verification, and crash in the rollout. The image has no shell. */
export const crashesInRollout = {
  env: [
    {
      name: "ROLE",
      valueFrom: { fieldRef: { fieldPath: "metadata.labels['aiapp.dev/role']" } },
    },
  ],
  podTemplate: {
    spec: {
      containers: [
        {
          name: "server",
          command: [
            "node",
            "--eval",
            'if (process.env.ROLE !== "verification") process.exit(3); import("/app/model-server/main.ts")',
          ],
        },
      ],
    },
  },
} as const satisfies Spec;
