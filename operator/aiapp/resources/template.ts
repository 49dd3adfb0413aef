import { defaultPorts } from "../../../crds/aiapp/ports.ts";
import { annotations, containers, labels, MODEL_MOUNT_PATH } from "../../../crds/names.ts";
import type { V1Container, V1EnvVar, V1PodTemplateSpec, V1VolumeMount } from "../../kube/types.ts";
import { parseReference, pinned } from "../../../crds/grammar/image-reference.ts";
import type { Release, ReleaseInputs } from "../release/identity.ts";
import { mergeStrategically } from "./merge.ts";
import { withMemoryLimit } from "./memory-limit.ts";
import { modelVolume, pullResources } from "./model-limits.ts";
import { identityLabels, type Owner, type Role } from "./owner.ts";

/** What the operator's own configuration puts into pods. Not part of a release's identity. */
export interface PullerSettings {
  /** The operator's own image: it pulls the model. */
  readonly image: string;
  readonly azureStorageSuffixes: readonly string[];
  readonly insecureHosts: readonly string[];
  readonly caBundle: string | undefined;
  /** Repositories, or prefixes of them, whose images are the project's model server. */
  readonly modelServerImages: readonly string[];
}

/** Longer than the server's drain (at most 50 s) and the preStop sleep. */
const GRACE_SECONDS = 60;

export const restricted = {
  allowPrivilegeEscalation: false,
  capabilities: { drop: ["ALL"] },
  readOnlyRootFilesystem: true,
} as const;

const defaultServer = {
  port: defaultPorts.http,
  readinessPath: "/v2/health/ready",
  livenessPath: "/v2/health/live",
} as const;

/** Where the server listens, and what the probes ask. */
export function serverSettings({ server }: ReleaseInputs): {
  readonly port: number;
  readonly readinessPath: string;
  readonly livenessPath: string;
} {
  return { ...defaultServer, ...server };
}

/** Where the model server serves its metrics. */
export function metricsPort({ env }: ReleaseInputs): number {
  const fallback = defaultPorts.metrics;
  const value = Number(env?.find(({ name }) => name === "METRICS_PORT")?.value ?? fallback);
  return Number.isInteger(value) && value > 0 && value < 65_536 ? value : fallback;
}

/**
 * The pods of a release, with the operator's parts as they are now. What says whose and which pods they are is not in
 * it: `stampTemplate` adds that where the template is used.
 */
export function renderTemplate(
  owner: Owner,
  release: Release,
  puller: PullerSettings,
): V1PodTemplateSpec {
  const { inputs } = release;
  const { registry } = inputs.credentials ?? {};
  const pullSecrets = new Set([
    ...(inputs.imagePullSecrets ?? []).map(({ name }) => name),
    ...(registry === undefined ? [] : [registry]),
  ]);
  const rendered: V1PodTemplateSpec = {
    metadata: {
      ...(owner.spec.labels && { labels: { ...owner.spec.labels } }),
      annotations: {
        ...owner.spec.annotations,
        [annotations.modelVersion]: release.modelVersion,
      },
    },
    spec: {
      serviceAccountName: inputs.serviceAccountName ?? owner.metadata.name,
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      terminationGracePeriodSeconds: GRACE_SECONDS,
      securityContext: { runAsNonRoot: true, seccompProfile: { type: "RuntimeDefault" } },
      ...(pullSecrets.size > 0 && {
        imagePullSecrets: [...pullSecrets].map((name) => ({ name })),
      }),
      ...(inputs.nodeSelector && { nodeSelector: { ...inputs.nodeSelector } }),
      ...(inputs.tolerations && {
        tolerations: inputs.tolerations.map((toleration) => ({ ...toleration })),
      }),
      topologySpreadConstraints: [
        {
          maxSkew: 1,
          topologyKey: "kubernetes.io/hostname",
          whenUnsatisfiable: "ScheduleAnyway",
          labelSelector: { matchLabels: { [labels.app]: owner.metadata.name } },
        },
      ],
      initContainers: [pullContainer(release, puller)],
      containers: [serverContainer(release)],
      volumes: [
        { name: "model", emptyDir: modelVolume(release) },
        { name: "tmp", emptyDir: {} },
      ],
    },
  };
  const merged = withMemoryLimit(
    mergeStrategically(rendered, inputs.podTemplate) as V1PodTemplateSpec,
    release,
    puller.modelServerImages,
  );
  if (!usesWorkloadIdentity(inputs)) return merged;
  // Without this label the pods get no token to pull the model with: not for spec.podTemplate to remove.
  const { metadata } = merged;
  const labelled = { ...metadata?.labels, "azure.workload.identity/use": "true" };
  return { ...merged, metadata: { ...metadata, labels: labelled } };
}

/** Which pods a template is used for. */
export interface Stamp {
  readonly role: Role;
  /** Whether the Service sends them requests. */
  readonly traffic: boolean;
  readonly release: string;
}

/** A release's template with the labels that say whose and which pods they are: spec.podTemplate cannot change those. */
export function stampTemplate(
  owner: Owner,
  { metadata, ...template }: V1PodTemplateSpec,
  { role, traffic, release }: Stamp,
): V1PodTemplateSpec {
  return {
    ...template,
    metadata: {
      ...(metadata?.annotations && { annotations: metadata.annotations }),
      labels: {
        ...metadata?.labels,
        ...identityLabels(owner),
        [labels.role]: role,
        [labels.traffic]: String(traffic),
        [labels.release]: release,
      },
    },
  };
}

function usesWorkloadIdentity({ credentials }: ReleaseInputs): boolean {
  const { storage, anonymous = [] } = credentials ?? {};
  return storage === undefined && !anonymous.includes("Storage");
}

function serverContainer(release: Release): V1Container {
  const { inputs, model } = release;
  const { grpcPort } = inputs;
  const { port, readinessPath, livenessPath } = serverSettings(inputs);
  const mounts: V1VolumeMount[] = [
    { name: "model", mountPath: MODEL_MOUNT_PATH, readOnly: true },
    { name: "tmp", mountPath: "/tmp" },
    ...(inputs.files ?? []).map(({ name, mountPath }) => ({
      name: "model",
      mountPath,
      subPath: name,
      readOnly: true,
    })),
  ];
  const own: V1EnvVar[] = [
    { name: "MODEL_DIR", value: MODEL_MOUNT_PATH },
    { name: "MODEL_NAME", value: model.name },
    { name: "MODEL_VERSION", value: release.modelVersion },
    { name: "MODEL_DIGEST", value: release.modelDigest },
    { name: "PORT", value: String(port) },
    ...(grpcPort === undefined ? [] : [{ name: "GRPC_PORT", value: String(grpcPort) }]),
    {
      name: "AIAPP_RELEASE",
      valueFrom: {
        fieldRef: { apiVersion: "v1", fieldPath: `metadata.labels['${labels.release}']` },
      },
    },
  ];
  const named = new Set((inputs.env ?? []).map(({ name }) => name));
  return {
    name: containers.server,
    image: pinned(parseReference(release.image), release.imageDigest),
    env: [...own.filter(({ name }) => !named.has(name)), ...(inputs.env ?? []).map(envVar)],
    ports: [
      { name: "http", containerPort: port, protocol: "TCP" },
      ...(grpcPort === undefined
        ? []
        : [{ name: "grpc", containerPort: grpcPort, protocol: "TCP" }]),
    ],
    resources: {
      requests: { cpu: "100m", memory: "256Mi", ...quantities(inputs.resources?.requests) },
      ...(inputs.resources?.limits && { limits: quantities(inputs.resources.limits) }),
    },
    securityContext: { ...restricted, capabilities: { drop: ["ALL"] } },
    terminationMessagePolicy: "FallbackToLogsOnError",
    volumeMounts: mounts,
    // A model may take minutes to load. Probing every second keeps a release from being slower than it must be.
    startupProbe: {
      httpGet: { path: readinessPath, port: "http" },
      periodSeconds: 1,
      failureThreshold: 600,
      timeoutSeconds: 5,
    },
    readinessProbe: {
      httpGet: { path: readinessPath, port: "http" },
      periodSeconds: 2,
      failureThreshold: 3,
      timeoutSeconds: 5,
    },
    livenessProbe: {
      httpGet: { path: livenessPath, port: "http" },
      periodSeconds: 10,
      failureThreshold: 6,
      timeoutSeconds: 10,
    },
    // The Service stops sending requests while the pod still serves: servers that end at SIGTERM lose none either.
    lifecycle: { preStop: { sleep: { seconds: 5 } } },
  };
}

function pullContainer(release: Release, puller: PullerSettings): V1Container {
  const { inputs, model } = release;
  const { storage, anonymous = [] } = inputs.credentials ?? {};
  const identity =
    storage !== undefined ? "Secret" : anonymous.includes("Storage") ? "Anonymous" : "Workload";
  const fromSecret = (name: string, key: string): V1EnvVar[] =>
    storage === undefined
      ? []
      : [{ name, valueFrom: { secretKeyRef: { name: storage, key, optional: true } } }];
  return {
    name: containers.pull,
    image: puller.image,
    command: ["node", "operator/pull-model/main.ts"],
    env: [
      { name: "MODEL_STORE", value: model.store },
      { name: "MODEL_NAME", value: model.name },
      { name: "MODEL_VERSION", value: release.modelVersion },
      { name: "MODEL_DIGEST", value: release.modelDigest },
      { name: "MODEL_DIR", value: MODEL_MOUNT_PATH },
      { name: "STORAGE_IDENTITY", value: identity },
      ...fromSecret("STORAGE_ACCOUNT_NAME", "accountName"),
      ...fromSecret("STORAGE_ACCOUNT_KEY", "accountKey"),
      ...fromSecret("STORAGE_SAS_TOKEN", "sasToken"),
      ...fromSecret("STORAGE_ENDPOINT", "endpoint"),
      ...(puller.azureStorageSuffixes.length === 0
        ? []
        : [{ name: "AZURE_STORAGE_SUFFIXES", value: puller.azureStorageSuffixes.join(",") }]),
      ...(puller.insecureHosts.length === 0
        ? []
        : [{ name: "INSECURE_HOSTS", value: puller.insecureHosts.join(",") }]),
      ...(puller.caBundle === undefined ? [] : [{ name: "CA_BUNDLE", value: puller.caBundle }]),
    ],
    resources: pullResources(release),
    securityContext: { ...restricted, capabilities: { drop: ["ALL"] } },
    terminationMessagePolicy: "FallbackToLogsOnError",
    volumeMounts: [{ name: "model", mountPath: MODEL_MOUNT_PATH }],
  };
}

/** A variable of the spec, without the members that it leaves out. */
export function envVar({
  name,
  value,
  valueFrom,
}: NonNullable<ReleaseInputs["env"]>[number]): V1EnvVar {
  return {
    name,
    ...(value !== undefined && { value }),
    ...(valueFrom !== undefined && { valueFrom }),
  };
}

function quantities(
  values: Readonly<Record<string, string | number>> | undefined,
): Record<string, string> {
  return Object.fromEntries(
    Object.entries(values ?? {}).map(([name, value]) => [name, String(value)]),
  );
}
