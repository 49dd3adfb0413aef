import type { AIApp } from "../../../crds/aiapp.ts";
import { annotations, containers, labels, MODEL_MOUNT_PATH } from "../../../crds/names.ts";
import type { V1Container, V1EnvVar, V1PodTemplateSpec, V1VolumeMount } from "../../kube/types.ts";
import type { Pair } from "../release.ts";
import { mergeStrategically } from "./merge.ts";
import { identityLabels } from "./owner.ts";

/** What the operator's own configuration puts into pods. Not part of a release's identity. */
export interface PullerSettings {
  /** The operator's own image: it pulls the model. */
  readonly image: string;
  readonly azureStorageSuffixes: readonly string[];
  readonly insecureHosts: readonly string[];
  readonly caBundle: string | undefined;
}

/** Stands for any settings when a release's identity is taken: an upgrade of the operator is no new release. */
export const anyPuller: PullerSettings = {
  image: "",
  azureStorageSuffixes: [],
  insecureHosts: [],
  caBundle: undefined,
};

/** Longer than the server's drain (at most 50 s) and the preStop sleep. */
const GRACE_SECONDS = 60;

const restricted = {
  allowPrivilegeEscalation: false,
  capabilities: { drop: ["ALL"] },
  readOnlyRootFilesystem: true,
} as const;

export function defaultServer(app: AIApp): {
  port: number;
  readinessPath: string;
  livenessPath: string;
} {
  const {
    port = 8080,
    readinessPath = "/v2/health/ready",
    livenessPath = "/v2/health/live",
  } = app.spec.server ?? {};
  return { port, readinessPath, livenessPath };
}

export function usesWorkloadIdentity(app: AIApp): boolean {
  const { storage, anonymous = [] } = app.spec.credentials ?? {};
  return storage === undefined && !anonymous.includes("Storage");
}

/** The pods of a release, without its id: that is a label, put on when the template is used. */
export function buildTemplate(
  app: AIApp,
  pair: Pair,
  pinnedImage: string,
  puller: PullerSettings,
): V1PodTemplateSpec {
  const { spec } = app;
  const { registry } = spec.credentials ?? {};
  const pullSecrets = new Set([
    ...(spec.imagePullSecrets ?? []).map(({ name }) => name),
    ...(registry === undefined ? [] : [registry]),
  ]);
  const made: V1PodTemplateSpec = {
    metadata: { annotations: { [annotations.modelVersion]: pair.modelVersion } },
    spec: {
      serviceAccountName: spec.serviceAccountName ?? app.metadata.name,
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      terminationGracePeriodSeconds: GRACE_SECONDS,
      securityContext: { runAsNonRoot: true, seccompProfile: { type: "RuntimeDefault" } },
      ...(pullSecrets.size > 0 && {
        imagePullSecrets: [...pullSecrets].map((name) => ({ name })),
      }),
      ...(spec.nodeSelector && { nodeSelector: { ...spec.nodeSelector } }),
      ...(spec.tolerations && {
        tolerations: spec.tolerations.map((toleration) => ({ ...toleration })),
      }),
      topologySpreadConstraints: [
        {
          maxSkew: 1,
          topologyKey: "kubernetes.io/hostname",
          whenUnsatisfiable: "ScheduleAnyway",
          labelSelector: { matchLabels: { [labels.app]: app.metadata.name } },
        },
      ],
      initContainers: [pullContainer(app, pair, puller)],
      containers: [serverContainer(app, pair, pinnedImage)],
      volumes: [
        { name: "model", emptyDir: {} },
        { name: "tmp", emptyDir: {} },
      ],
    },
  };
  const merged = mergeStrategically(made, spec.podTemplate) as V1PodTemplateSpec;
  return {
    ...merged,
    metadata: {
      ...(merged.metadata?.annotations && { annotations: merged.metadata.annotations }),
      // Whose pod it is and whether it takes traffic is not for the template to say.
      labels: {
        ...merged.metadata?.labels,
        ...(usesWorkloadIdentity(app) && { "azure.workload.identity/use": "true" }),
        ...identityLabels(app),
        [labels.role]: "stable",
      },
    },
  };
}

function serverContainer(app: AIApp, pair: Pair, image: string): V1Container {
  const { spec } = app;
  const { port, readinessPath, livenessPath } = defaultServer(app);
  const mounts: V1VolumeMount[] = [
    { name: "model", mountPath: MODEL_MOUNT_PATH, readOnly: true },
    { name: "tmp", mountPath: "/tmp" },
    ...(spec.model.files ?? []).map(({ name, mountPath }) => ({
      name: "model",
      mountPath,
      subPath: name,
      readOnly: true,
    })),
  ];
  const own: V1EnvVar[] = [
    { name: "MODEL_DIR", value: MODEL_MOUNT_PATH },
    { name: "MODEL_NAME", value: spec.model.name },
    { name: "MODEL_VERSION", value: pair.modelVersion },
    { name: "MODEL_DIGEST", value: pair.modelDigest },
    { name: "PORT", value: String(port) },
    {
      name: "AIAPP_RELEASE",
      valueFrom: {
        fieldRef: { apiVersion: "v1", fieldPath: `metadata.labels['${labels.release}']` },
      },
    },
  ];
  const named = new Set((spec.env ?? []).map(({ name }) => name));
  return {
    name: containers.server,
    image,
    env: [...own.filter(({ name }) => !named.has(name)), ...(spec.env ?? []).map(envVar)],
    ports: [{ name: "http", containerPort: port, protocol: "TCP" }],
    resources: {
      requests: { cpu: "100m", memory: "256Mi", ...quantities(spec.resources?.requests) },
      ...(spec.resources?.limits && { limits: quantities(spec.resources.limits) }),
    },
    securityContext: { ...restricted, capabilities: { drop: ["ALL"] } },
    terminationMessagePolicy: "FallbackToLogsOnError",
    volumeMounts: mounts,
    // A model may take minutes to load; then the probes look often, so that a release is not slower than it must be.
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
    // The pod leaves the Service while it still serves as ever; servers that end at SIGTERM lose nothing either.
    lifecycle: { preStop: { sleep: { seconds: 5 } } },
  };
}

function pullContainer(app: AIApp, pair: Pair, puller: PullerSettings): V1Container {
  const { spec } = app;
  const { storage, anonymous = [] } = spec.credentials ?? {};
  const identity =
    storage !== undefined ? "Secret" : anonymous.includes("Storage") ? "Anonymous" : "Workload";
  const fromSecret = (name: string, key: string): V1EnvVar[] =>
    storage === undefined
      ? []
      : [{ name, valueFrom: { secretKeyRef: { name: storage, key, optional: true } } }];
  return {
    name: containers.pull,
    image: puller.image,
    command: ["node", "operator/pull.ts"],
    env: [
      { name: "MODEL_STORE", value: spec.model.store },
      { name: "MODEL_NAME", value: spec.model.name },
      { name: "MODEL_VERSION", value: pair.modelVersion },
      { name: "MODEL_DIGEST", value: pair.modelDigest },
      { name: "MODEL_DIR", value: MODEL_MOUNT_PATH },
      { name: "STORAGE_IDENTITY", value: identity },
      ...fromSecret("STORAGE_ACCOUNT_NAME", "accountName"),
      ...fromSecret("STORAGE_ACCOUNT_KEY", "accountKey"),
      ...fromSecret("STORAGE_SAS_TOKEN", "sasToken"),
      ...(puller.azureStorageSuffixes.length === 0
        ? []
        : [{ name: "AZURE_STORAGE_SUFFIXES", value: puller.azureStorageSuffixes.join(",") }]),
      ...(puller.insecureHosts.length === 0
        ? []
        : [{ name: "INSECURE_HOSTS", value: puller.insecureHosts.join(",") }]),
      ...(puller.caBundle === undefined ? [] : [{ name: "CA_BUNDLE", value: puller.caBundle }]),
    ],
    resources: { requests: { cpu: "50m", memory: "128Mi" } },
    securityContext: { ...restricted, capabilities: { drop: ["ALL"] } },
    terminationMessagePolicy: "FallbackToLogsOnError",
    volumeMounts: [{ name: "model", mountPath: MODEL_MOUNT_PATH }],
  };
}

function envVar({ name, value, valueFrom }: NonNullable<AIApp["spec"]["env"]>[number]): V1EnvVar {
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
