import type { AIApp } from "../../../crds/aiapp.ts";
import { labels } from "../../../crds/names.ts";
import type {
  V1Deployment,
  V1PodDisruptionBudget,
  V1Service,
  V1ServiceAccount,
  V2HorizontalPodAutoscaler,
} from "../../kube/types.ts";
import type { Release } from "../release.ts";
import { ownedMetadata, stableSelector } from "./owner.ts";

/** The objects that an AIApp owns. Each is all that we want to say of it: server-side apply leaves the rest alone. */

/** @param replicas left out where an autoscaler owns them */
export function buildDeployment(
  app: AIApp,
  release: Release,
  replicas: number | undefined,
): V1Deployment {
  const { template } = release;
  return {
    metadata: ownedMetadata(app),
    spec: {
      ...(replicas !== undefined && { replicas }),
      revisionHistoryLimit: 2,
      selector: { matchLabels: { [labels.app]: app.metadata.name } },
      // New pods first: what serves is never fewer than it was.
      strategy: { type: "RollingUpdate", rollingUpdate: { maxUnavailable: 0, maxSurge: "25%" } },
      template: {
        ...template,
        metadata: {
          ...template.metadata,
          labels: { ...template.metadata?.labels, [labels.release]: release.id },
        },
      },
    },
  };
}

export function buildService(app: AIApp): V1Service {
  const {
    type = "LoadBalancer",
    port = 80,
    annotations,
    host,
    azureDNSLabel,
  } = app.spec.service ?? {};
  return {
    metadata: ownedMetadata(app, {
      ...annotations,
      ...(host !== undefined && { "external-dns.alpha.kubernetes.io/hostname": host }),
      ...(azureDNSLabel !== undefined && {
        "service.beta.kubernetes.io/azure-dns-label-name": azureDNSLabel,
      }),
    }),
    spec: {
      type,
      selector: stableSelector(app),
      ports: [{ name: "http", port, targetPort: "http", protocol: "TCP" }],
    },
  };
}

export function buildServiceAccount(app: AIApp): V1ServiceAccount {
  return { metadata: ownedMetadata(app), automountServiceAccountToken: false };
}

/** One pod at a time may be taken away on purpose; pods that do not serve anyway may always. */
export function buildPodDisruptionBudget(app: AIApp): V1PodDisruptionBudget {
  return {
    metadata: ownedMetadata(app),
    spec: {
      maxUnavailable: 1,
      unhealthyPodEvictionPolicy: "AlwaysAllow",
      selector: { matchLabels: stableSelector(app) },
    },
  };
}

export function buildHorizontalPodAutoscaler(
  app: AIApp,
  { minReplicas, maxReplicas, targetCPUUtilization }: NonNullable<AIApp["spec"]["autoscaling"]>,
): V2HorizontalPodAutoscaler {
  return {
    metadata: ownedMetadata(app),
    spec: {
      scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: app.metadata.name },
      minReplicas,
      maxReplicas,
      metrics: [
        {
          type: "Resource",
          resource: {
            name: "cpu",
            target: { type: "Utilization", averageUtilization: targetCPUUtilization },
          },
        },
      ],
    },
  };
}

/** Where the app answers, once the load balancer has an address. */
export function urlOf(app: AIApp, service: V1Service | undefined): string | undefined {
  const { port = 80, host, type = "LoadBalancer" } = app.spec.service ?? {};
  const suffix = port === 80 ? "" : `:${port}`;
  const ingress = service?.status?.loadBalancer?.ingress?.[0];
  const address = ingress?.ip ?? ingress?.hostname;
  if (type === "LoadBalancer") {
    if (address === undefined) return undefined;
    return `http://${host ?? (address.includes(":") ? `[${address}]` : address)}${suffix}`;
  }
  return service === undefined
    ? undefined
    : `http://${app.metadata.name}.${app.metadata.namespace}.svc${suffix}`;
}
