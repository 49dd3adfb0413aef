import { z } from "zod";

import { cel } from "../cel.ts";
import { Network, Port } from "./fields.ts";

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
    port: Port.default(8080),
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
    cel({
      rule: "!has(self.loadBalancerSourceRanges) || size(self.loadBalancerSourceRanges) == 0 || !has(self.type) || self.type == 'LoadBalancer'",
      message:
        "loadBalancerSourceRanges needs type LoadBalancer: remove it, or use a NetworkPolicy to limit who reaches the pods",
      fieldPath: ".loadBalancerSourceRanges",
    }),
  )
  .optional();
