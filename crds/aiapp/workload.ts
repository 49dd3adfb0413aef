import { z } from "zod";

import { cel } from "../cel.ts";
import { Network, Port } from "./fields.ts";
import { defaultPorts } from "./ports.ts";

export const Autoscaling = z
  .object({
    minReplicas: z.int32().min(1).max(1000).default(1),
    maxReplicas: z.int32().min(1).max(1000),
    targetCPUUtilization: z
      .int32()
      .min(1)
      .max(1000)
      .default(70)
      .describe("Percent of the CPU request, averaged over the pods."),
  })
  .meta(
    cel({
      rule: "self.minReplicas <= self.maxReplicas",
      message: "minReplicas must not be above maxReplicas",
    }),
  );
export type Autoscaling = z.infer<typeof Autoscaling>;

/** `spec.server`: for code images that are not our model server. */
export const Server = z
  .object({
    port: Port.default(defaultPorts.http),
    // No default in the schema: the API server would set it without service.grpcPort too.
    grpcPort: Port.optional().describe(
      `The port that the server listens on for gRPC, with service.grpcPort. ${defaultPorts.grpc} unless set. The operator sets GRPC_PORT to it.`,
    ),
    readinessPath: z.string().max(512).regex(/^\//).default("/v2/health/ready"),
    livenessPath: z.string().max(512).regex(/^\//).default("/v2/health/live"),
    scorePath: z
      .string()
      .max(512)
      .regex(/^\//)
      .optional()
      .describe(
        "Where the samples of the bundle are posted to verify a release. Without it, an image that is not the project's model server is verified by its readiness and verify.job.",
      ),
  })
  .optional()
  .describe("For code images that are not our model server.");

/** `spec.service`: the address that users call. */
export const Service = z
  .object({
    type: z.enum(["LoadBalancer", "ClusterIP", "NodePort"]).default("LoadBalancer"),
    port: Port.default(80),
    grpcPort: Port.optional().describe(
      "A second port of the Service, named grpc, for clients that call over gRPC without TLS. Its target is server.grpcPort. None unless set. To add or remove it makes a new release.",
    ),
    annotations: z.record(z.string(), z.string().max(4096)).optional(),
    host: z
      .string()
      .max(253)
      .regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)+$/)
      .optional()
      .describe("The DNS name, set through external-dns."),
    azureDNSLabel: z
      .string()
      .max(63)
      .regex(/^[a-z][-a-z0-9]*[a-z0-9]$/)
      .optional()
      .describe("On AKS: <label>.<region>.cloudapp.azure.com, with nothing else to install."),
    loadBalancerSourceRanges: z
      .array(Network)
      .max(64)
      .optional()
      .meta({ "x-kubernetes-list-type": "set" })
      .describe(
        "The addresses that the load balancer accepts connections from. All, when it is not set or empty.",
      ),
  })
  .meta(
    cel(
      {
        rule: "!has(self.grpcPort) || self.grpcPort != (has(self.port) ? self.port : 80)",
        message:
          "service.grpcPort must be another port than service.port (80 unless set): the Service serves gRPC and HTTP on one port each",
        fieldPath: ".grpcPort",
      },
      {
        rule: "!has(self.loadBalancerSourceRanges) || size(self.loadBalancerSourceRanges) == 0 || !has(self.type) || self.type == 'LoadBalancer'",
        message:
          "loadBalancerSourceRanges needs type LoadBalancer: remove it, or use a NetworkPolicy to limit who reaches the pods",
        fieldPath: ".loadBalancerSourceRanges",
      },
    ),
  )
  .optional();
