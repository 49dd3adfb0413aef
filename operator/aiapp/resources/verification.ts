import type { AIApp } from "../../../crds/aiapp/aiapp.ts";
import {
  annotations,
  containers,
  labels,
  MODEL_MOUNT_PATH,
  verificationName,
} from "../../../crds/names.ts";
import type { V1Container, V1Job, V1PodTemplateSpec } from "../../kube/types.ts";
import { milliseconds } from "../../../crds/grammar/duration.ts";
import type { ReleaseRecord } from "../release/record.ts";
import { ownedMetadata } from "./owner.ts";
import {
  envVar,
  restricted,
  serverSettings,
  stampTemplate,
  type PullerSettings,
} from "./template.ts";

/** A release that is being verified. */
export interface Verification {
  readonly record: ReleaseRecord;
  /** Counts from 1. Another attempt follows an infrastructure fault. */
  readonly attempt: number;
}

/**
 * The Job that verifies a release: one pod of the release's own template that gets no requests. The server, and every
 * container beside it, runs as a native sidecar; then, one after the other, the samples of the bundle are scored over
 * loopback once the server is ready, and the user's own container runs. Exit statuses are the verdict, termination messages
 * say why.
 */
export function buildVerification(
  app: AIApp,
  { record, attempt }: Verification,
  puller: PullerSettings,
): V1Job {
  const metadata = ownedMetadata(app, { [annotations.attempt]: String(attempt) });
  const stamp = { role: "verification", traffic: false, release: record.id } as const;
  const template = stampTemplate(app, record.template, stamp);
  return {
    metadata: {
      ...metadata,
      name: verificationName(app.metadata.name),
      labels: { ...metadata.labels, [labels.release]: record.id },
    },
    spec: {
      // A pod that fails is a verdict. One that an eviction or a lost node takes away is replaced.
      backoffLimit: 0,
      podFailurePolicy: {
        rules: [
          { action: "Ignore", onPodConditions: [{ type: "DisruptionTarget", status: "True" }] },
        ],
      },
      template: { ...template, spec: verifyingPod(app, record, template, puller) },
    },
  };
}

type PodSpec = NonNullable<V1PodTemplateSpec["spec"]>;

function verifyingPod(
  app: AIApp,
  record: ReleaseRecord,
  { spec }: V1PodTemplateSpec,
  puller: PullerSettings,
): PodSpec {
  const { topologySpreadConstraints: _, ...pod } = spec ?? { containers: [] };
  const samples = samplesContainer(app, record, puller);
  const job = jobContainer(app, record);
  return {
    ...pod,
    restartPolicy: "Never",
    // Counts from when the pod has a node: waiting for one is not a failure.
    activeDeadlineSeconds: Math.ceil(timeoutMs(app) / 1000),
    terminationGracePeriodSeconds: 10,
    initContainers: [
      ...(pod.initContainers ?? []),
      ...serverLast(pod.containers)
        .map(sidecar)
        .map((one) => withoutWait(one, record)),
      ...(job === undefined ? [] : [samples]),
    ],
    containers: [job ?? samples],
  };
}

export function timeoutMs(app: AIApp): number {
  return milliseconds(app.spec.verify?.timeout ?? "10m");
}

function serverLast(all: readonly V1Container[]): readonly V1Container[] {
  const isServer = ({ name }: V1Container): boolean => name === containers.server;
  return [...all.filter((container) => !isServer(container)), ...all.filter(isServer)];
}

/** Kubernetes starts the next container once the startup probe of a sidecar passes, and ends it after the last one. */
function sidecar(container: V1Container): V1Container {
  const { lifecycle: _, ...rest } = container;
  return { ...rest, restartPolicy: "Always" };
}

/**
 * The samples wait for the server themselves, and start meanwhile: the kubelet looks for it once a second, and starts the
 * next container only then. Without a startup probe the liveness probe would count from the start. Probes of
 * `spec.podTemplate` stay.
 */
function withoutWait(container: V1Container, { inputs }: ReleaseRecord): V1Container {
  const { startupProbe, livenessProbe: _, ...rest } = container;
  const { path, port } = startupProbe?.httpGet ?? {};
  const isOwn = path === serverSettings(inputs).readinessPath && port === "http";
  return container.name === containers.server && isOwn ? rest : container;
}

/** The operator's own image: it scores the samples as a user would, or only finds that the server is ready. */
function samplesContainer(
  app: AIApp,
  { inputs }: ReleaseRecord,
  puller: PullerSettings,
): V1Container {
  const { spec } = app;
  const { port, readinessPath } = serverSettings(inputs);
  // The project's own server needs no settings, and takes samples at /score.
  const scorePath = spec.server === undefined ? "/score" : spec.server.scorePath;
  const scores = (spec.verify?.samples ?? true) && scorePath !== undefined;
  const origin = `http://127.0.0.1:${port}`;
  return {
    name: containers.samples,
    image: puller.image,
    command: ["node", "operator/verify/main.ts"],
    env: [
      { name: "MODEL_DIR", value: MODEL_MOUNT_PATH },
      { name: "READY_URL", value: `${origin}${readinessPath}` },
      // Where the kubelet's probes will look for it: a server that listens on loopback alone is found now.
      { name: "POD_IP", valueFrom: { fieldRef: { apiVersion: "v1", fieldPath: "status.podIP" } } },
      { name: "SCORE_URL", value: scores ? `${origin}${scorePath}` : "" },
      { name: "VERIFY_SAMPLES", value: String(scores) },
      // Ends with a message of its own, before the pod's deadline ends it without one.
      { name: "TIMEOUT_SECONDS", value: String(Math.max(1, Math.floor(timeoutMs(app) / 1100))) },
    ],
    resources: { requests: { cpu: "50m", memory: "128Mi" }, limits: { memory: "512Mi" } },
    securityContext: { ...restricted, capabilities: { drop: ["ALL"] } },
    terminationMessagePolicy: "FallbackToLogsOnError",
    volumeMounts: [{ name: "model", mountPath: MODEL_MOUNT_PATH, readOnly: true }],
  };
}

function jobContainer({ spec }: AIApp, { inputs }: ReleaseRecord): V1Container | undefined {
  const job = spec.verify?.job;
  if (job === undefined) return undefined;
  const { image, command, args, env = [] } = job;
  const own = [
    { name: "AIAPP_URL", value: `http://127.0.0.1:${serverSettings(inputs).port}` },
    { name: "MODEL_DIR", value: MODEL_MOUNT_PATH },
  ];
  return {
    name: containers.job,
    image,
    ...(command && { command: [...command] }),
    ...(args && { args: [...args] }),
    env: [...own, ...env.map(envVar)],
    securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } },
    terminationMessagePolicy: "FallbackToLogsOnError",
    volumeMounts: [
      { name: "model", mountPath: MODEL_MOUNT_PATH, readOnly: true },
      { name: "tmp", mountPath: "/tmp" },
    ],
  };
}
