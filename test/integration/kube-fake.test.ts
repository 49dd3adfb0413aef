import { KubeConfig } from "@kubernetes/client-node";
import * as fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";

import { API_VERSION, KIND, PLURAL } from "../../crds/names.ts";
import { ManualClock } from "../../operator/clock.testing.ts";
import { isOperatorError } from "../../operator/errors.ts";
import { createKube, type Kube } from "../../operator/kube/client.ts";
import { createFakeKube } from "../../operator/kube/fake/fake.testing.ts";
import { kinds, type Kind, type KubernetesObject } from "../../operator/kube/types.ts";
import { startApiServer, type ApiServer } from "../support/apiserver.ts";
import { installCrds } from "../support/crds.ts";

/** The same writes, in any order, to the fake and to a real API server: every response is the same. */

type Fields = Readonly<Record<string, unknown>>;

const aiapp: Kind = { apiVersion: API_VERSION, kind: KIND, plural: PLURAL };
/** More runs, and other seeds, find rarer differences: 2500 runs take a minute and a half. */
const RUNS = Number(process.env["KUBE_RUNS"] ?? 60);
const SEED = Number(process.env["KUBE_SEED"] ?? 1);
const signal = AbortSignal.timeout(600_000);
let server: ApiServer;
let real: Kube;

beforeAll(async () => {
  server = await startApiServer();
  await installCrds(server);
  const config = new KubeConfig();
  config.loadFromFile(server.kubeconfig);
  real = createKube({ config, requestTimeoutMs: 10_000 });
});
afterAll(() => server.close());

const some = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(arbitrary, { nil: undefined });
/** A list with a subset of the keys, in any order. */
const keyed = (
  keys: readonly string[],
  item: (key: string) => fc.Arbitrary<Fields>,
): fc.Arbitrary<readonly Fields[]> =>
  fc.shuffledSubarray([...keys]).chain((chosen) => fc.tuple(...chosen.map((key) => item(key))));
const texts = (keys: readonly string[]): fc.Arbitrary<Fields> =>
  fc
    .subarray([...keys])
    .chain((chosen) =>
      fc.record(Object.fromEntries(chosen.map((key) => [key, fc.constantFrom("1", "2")]))),
    );

const metadata = fc.record({
  labels: some(texts(["a", "b"])),
  annotations: some(texts(["c", "d"])),
});

const container = (name: string): fc.Arbitrary<Fields> =>
  fc.record({
    name: fc.constant(name),
    image: fc.constantFrom("registry.local/a:1", "registry.local/a:2", "registry.local/a"),
    env: some(
      keyed(["A", "B", "C"], (key) =>
        fc.record({ name: fc.constant(key), value: fc.constantFrom("", "1", "2") }),
      ),
    ),
    ports: some(
      keyed(["80", "81"], (key) =>
        fc.record(
          {
            containerPort: fc.constant(Number(key)),
            name: fc.constant(`port-${key}`),
            protocol: fc.constant("TCP"),
          },
          { requiredKeys: ["containerPort"] },
        ),
      ),
    ),
    volumeMounts: some(
      keyed(["/x", "/y"], (key) =>
        fc.record(
          {
            name: fc.constant("tmp"),
            mountPath: fc.constant(key),
            readOnly: fc.boolean(),
          },
          { requiredKeys: ["name", "mountPath"] },
        ),
      ),
    ),
    resources: some(
      fc.record({
        requests: some(
          fc.record({ cpu: fc.constantFrom("0.5", "500m", "1", 2), memory: fc.constant("1024Mi") }),
        ),
        limits: some(fc.record({ cpu: fc.constantFrom("2", "2000m") })),
      }),
    ),
    securityContext: some(
      fc.record({
        capabilities: fc.record({ drop: fc.constantFrom(["ALL"], ["NET_ADMIN", "CHOWN"]) }),
      }),
    ),
  });

const deployment = fc
  .record({
    replicas: some(fc.nat(3)),
    minReadySeconds: some(fc.nat(2)),
    paused: some(fc.boolean()),
    strategy: some(fc.constantFrom({ type: "Recreate" }, { rollingUpdate: { maxSurge: 1 } }, {})),
    nodeSelector: some(texts(["x", "y"])),
    tolerations: some(fc.constantFrom([], [{ key: "gpu", operator: "Exists" }])),
    containers: keyed(["server", "sidecar"], container).filter((list) => list.length > 0),
    labels: texts(["l"]),
  })
  .map(({ nodeSelector, tolerations, containers, labels, ...spec }) => ({
    spec: {
      ...spec,
      selector: { matchLabels: { app: "a" } },
      template: {
        metadata: { labels: { app: "a", ...labels } },
        spec: {
          containers,
          nodeSelector,
          tolerations,
          volumes: [{ name: "tmp", emptyDir: {} }],
        },
      },
    },
  }));

const service = fc
  .record({
    type: some(fc.constantFrom("ClusterIP", "LoadBalancer")),
    selector: some(texts(["app", "role"])),
    ports: keyed(["80", "81"], (key) =>
      fc.record(
        {
          port: fc.constant(Number(key)),
          name: fc.constant(`port-${key}`),
          targetPort: fc.constantFrom("http", 8080),
          protocol: fc.constant("TCP"),
        },
        { requiredKeys: ["port", "name"] },
      ),
    ).filter((list) => list.length > 0),
  })
  .map((spec) => ({ spec }));

const app = fc
  .record({
    modelVersion: fc.constantFrom("7", "8", 9),
    replicas: some(fc.nat(2)),
    nodeSelector: some(texts(["x", "y"])),
    env: some(
      keyed(["A", "B"], (key) =>
        fc.record({ name: fc.constant(key), value: fc.constantFrom("", "1") }),
      ),
    ),
    credentials: some(fc.record({ anonymous: some(fc.subarray(["Registry", "Storage"])) })),
    podTemplate: some(
      fc.constantFrom(
        {},
        { spec: { priorityClassName: "x" } },
        { spec: { volumes: [{ name: "v" }] } },
      ),
    ),
  })
  .map((spec) => ({
    spec: {
      image: "registry.local/a:1",
      model: { store: "https://a.blob.core.windows.net/models", name: "cats" },
      ...spec,
    },
  }));

const conditions = keyed(["Ready", "Available", "Stalled"], (type) =>
  fc.record({
    type: fc.constant(type),
    status: fc.constantFrom("True", "False"),
    reason: fc.constant("Because"),
    message: fc.constant(""),
    lastTransitionTime: fc.constant("2026-03-01T08:00:00Z"),
  }),
);
const appStatus = fc
  .record({
    observedGeneration: fc.nat(2),
    url: some(fc.constant("http://a")),
    conditions: some(conditions),
  })
  .map((status) => ({ status }));
const deploymentStatus = fc
  .record({
    observedGeneration: fc.nat(2),
    readyReplicas: some(fc.nat(1)),
    conditions: some(
      keyed(["Available", "Progressing"], (type) =>
        fc.record({
          type: fc.constant(type),
          status: fc.constantFrom("True", "False"),
          lastUpdateTime: fc.constant("2026-03-01T08:00:00Z"),
          lastTransitionTime: fc.constant("2026-03-01T08:00:00Z"),
        }),
      ),
    ),
  })
  .map((status) => ({ status }));
const budget = fc
  .record({
    maxUnavailable: fc.constantFrom(0, 1, "25%"),
    selector: fc.constant({ matchLabels: { a: "b" } }),
  })
  .map((spec) => ({ spec }));
const autoscaler = fc
  .record({ minReplicas: some(fc.constantFrom(1, 2)), maxReplicas: fc.constantFrom(2, 3) })
  .map((spec) => ({
    spec: {
      ...spec,
      scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "a" },
      metrics: [
        {
          type: "Resource",
          resource: { name: "cpu", target: { type: "Utilization", averageUtilization: 70 } },
        },
      ],
    },
  }));
const account = fc.record({ automountServiceAccountToken: some(fc.boolean()) });
const revision = fc.record({
  revision: fc.nat(3),
  data: fc.constantFrom({ a: 1 }, { a: { b: [] } }),
});

interface Described {
  readonly kind: Kind;
  readonly main: fc.Arbitrary<Fields>;
  readonly status?: fc.Arbitrary<Fields>;
}

const described: readonly Described[] = [
  { kind: kinds.deployment, main: deployment, status: deploymentStatus },
  { kind: kinds.deployment, main: deployment },
  { kind: kinds.service, main: service },
  { kind: aiapp, main: app, status: appStatus },
  { kind: kinds.podDisruptionBudget, main: budget },
  { kind: kinds.horizontalPodAutoscaler, main: autoscaler },
  { kind: kinds.serviceAccount, main: account },
  { kind: kinds.controllerRevision, main: revision },
];

interface Step {
  readonly verb: "apply" | "create" | "patch" | "replace" | "delete";
  readonly manager: string;
  readonly force: boolean;
  readonly subresource: "status" | undefined;
  readonly fields: Fields;
}

function stepsOf(
  { main, status = fc.constant({}) }: Described,
  hasStatus: boolean,
): fc.Arbitrary<readonly Step[]> {
  const common = {
    verb: fc.constantFrom("apply", "apply", "apply", "create", "patch", "replace", "delete"),
    manager: fc.constantFrom("one", "two"),
    force: fc.boolean(),
  } as const;
  const whole = fc
    .record({ ...common, fields: main, meta: metadata })
    .map(({ fields, meta, ...step }) => ({
      ...step,
      subresource: undefined,
      fields: { ...fields, metadata: meta },
    }));
  const part = fc
    .record({ ...common, verb: fc.constantFrom("apply", "patch", "replace"), fields: status })
    .map((step) => ({ ...step, subresource: "status" as const }));
  const step: fc.Arbitrary<Step> = hasStatus
    ? fc.oneof({ weight: 3, arbitrary: whole }, part)
    : whole;
  return fc.array(step, { minLength: 1, maxLength: 10 });
}

const scenario = fc
  .constantFrom(...described)
  .chain((one) =>
    fc.record({ kind: fc.constant(one.kind), steps: stepsOf(one, one.status !== undefined) }),
  );

/** Performs a step, and says what came of it without what differs between any two servers. */
async function perform(
  kube: Kube,
  kind: Kind,
  name: string,
  step: Step,
  seen: { version: string | undefined },
): Promise<unknown> {
  const namespace = "default";
  const { verb, manager, force, subresource, fields } = step;
  const options = subresource === undefined ? {} : { subresource };
  const metadata = { ...(fields["metadata"] as Fields | undefined), namespace, name };
  const object = JSON.parse(JSON.stringify({ ...fields, metadata })) as KubernetesObject;
  try {
    const live = await kube.get(kind, namespace, name, signal);
    let result: KubernetesObject | undefined;
    if (verb === "apply")
      result = await kube.apply(kind, object, { ...options, fieldManager: manager, force }, signal);
    else if (verb === "create") result = await kube.create(kind, object, signal);
    else if (verb === "patch") {
      const patch = { ...object, metadata: { ...metadata, name: undefined, namespace: undefined } };
      result = await kube.patch(
        kind,
        namespace,
        name,
        patch,
        { ...options, fieldManager: manager },
        signal,
      );
    } else if (live === undefined) return "nothing there";
    else if (verb === "replace") {
      const { resourceVersion } = live.metadata ?? {};
      const whole =
        subresource === undefined
          ? { ...object, metadata: { ...metadata, resourceVersion } }
          : { ...live, ...fields };
      result = await kube.replace(kind, JSON.parse(JSON.stringify(whole)), options, signal);
    } else {
      await kube.delete(kind, { namespace, name, uid: live.metadata?.uid ?? "" }, signal);
    }
    const isNew = result?.metadata?.resourceVersion !== seen.version;
    seen.version = result?.metadata?.resourceVersion;
    // A custom resource may get a new version for a new time in its managedFields alone.
    return { isNew: kind === aiapp || isNew, object: result && comparable(result) };
  } catch (error) {
    if (isOperatorError(error)) return error.code;
    throw error;
  }
}

function comparable(object: KubernetesObject): unknown {
  const { metadata, ...rest } = JSON.parse(JSON.stringify(object)) as KubernetesObject & Fields;
  const {
    uid: _,
    creationTimestamp: __,
    resourceVersion: ___,
    managedFields = [],
    ...kept
  } = metadata ?? {};
  // A Go list that is never left out is null when it is empty: the same as absent to every reader.
  const text = JSON.stringify(rest, (_key, value: unknown) => value ?? undefined)
    .replaceAll(/"nodePort":\d+/g, '"nodePort":0')
    .replaceAll(/"10\.0\.0\.\d+"/g, '"10.0.0.0"');
  const managers = managedFields.map(({ time: _time, ...entry }) => entry);
  const keyOf = (entry: (typeof managers)[number]): string =>
    `${entry.operation} ${entry.subresource} ${entry.manager}`;
  return {
    ...(JSON.parse(text) as Fields),
    metadata: {
      ...kept,
      managedFields: managers.toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1)),
    },
  };
}

it(
  "the fake responds to the same writes as a real API server does",
  { timeout: 600_000 },
  async () => {
    let runs = 0;
    await fc.assert(
      fc.asyncProperty(scenario, async ({ kind, steps }) => {
        runs += 1;
        const name = `run-${runs}`;
        const fake = createFakeKube({ clock: new ManualClock() });
        const seen = { fake: { version: undefined }, real: { version: undefined } };
        for (const step of steps) {
          const expected = await perform(real, kind, name, step, seen.real);
          expect(await perform(fake, kind, name, step, seen.fake)).toEqual(expected);
        }
      }),
      { numRuns: RUNS, seed: SEED },
    );
  },
);
