import type { AIApp } from "../../../crds/aiapp/aiapp.ts";
import type { V1Service, V1ServiceAccount } from "../../kube/types.ts";
import { ownedMetadata, trafficSelector, type Owner, type SetName } from "./owner.ts";

/**
 * The container's port, by name: a pod of a release without it gets no connections for gRPC, and its requests over HTTP as
 * before. The protocol says to gateways and meshes that clients begin with HTTP/2, without TLS.
 */
const grpcTarget = {
  targetPort: "grpc",
  protocol: "TCP",
  appProtocol: "kubernetes.io/h2c",
} as const;

export function buildService(app: AIApp, selects: SetName | "both"): V1Service {
  const {
    type = "LoadBalancer",
    port = 80,
    grpcPort,
    annotations,
    host,
    azureDNSLabel,
    loadBalancerSourceRanges = [],
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
      selector: trafficSelector(app, selects),
      ports: [
        { name: "http", port, targetPort: "http", protocol: "TCP" },
        ...(grpcPort === undefined ? [] : [{ name: "grpc", port: grpcPort, ...grpcTarget }]),
      ],
      ...(loadBalancerSourceRanges.length > 0 && {
        loadBalancerSourceRanges: [...loadBalancerSourceRanges],
      }),
    },
  };
}

/** Where the app serves, once the load balancer has an address. */
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

export function buildServiceAccount(owner: Owner): V1ServiceAccount {
  return { metadata: ownedMetadata(owner), automountServiceAccountToken: false };
}
