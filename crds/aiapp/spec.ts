import { z } from "zod";

import { cel } from "../cel.ts";
import { Duration, EnvVar, listMap, ObjectName, preserveUnknown, Quantity } from "./fields.ts";
import { Annotations, Labels } from "./metadata.ts";
import { Notifications } from "./notifications.ts";
import { portRules } from "./ports.ts";
import { ReleasePolicy, Rollout, Verify } from "./release.ts";
import { Credentials, ImagePolicy, Model } from "./sources.ts";
import { Autoscaling, Server, Service } from "./workload.ts";

export const AIAppSpec = z
  .object({
    image: z
      .string()
      .min(1)
      .max(1024)
      .meta(
        cel({
          rule: "self.matches('^[A-Za-z0-9.-]+(:[0-9]+)?/[a-z0-9]+([._/-]+[a-z0-9]+)*(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(@sha256:[0-9a-f]{64})?$')",
          message:
            "image must name a registry, a repository and a tag or digest: <registry>/<repository>:<tag>, such as contoso.azurecr.io/cats:1.4",
        }),
      )
      .describe("The code image. A tag is followed by digest; name@sha256:… is pinned."),
    imagePolicy: ImagePolicy.optional().describe(
      "Choose among the repository's tags, instead of following the one in image.",
    ),
    modelVersion: z
      .union([z.int32(), z.string().max(128)])
      .meta({
        "x-kubernetes-int-or-string": true,
        ...cel({
          rule: "type(self) == int ? self >= 0 : (type(self) == string && self.matches('^[A-Za-z0-9<>=^~*|][A-Za-z0-9<>=^~*|._+ -]{0,127}$'))",
          message:
            'modelVersion must be a version folder (7, 1.4.0, 2026-03-01), latest, or a range (">=7 <8")',
        }),
      })
      .describe('A version folder, latest, or a range such as ">=7 <8".'),
    model: Model,
    interval: Duration.default("1m")
      .meta(
        cel({
          rule: "duration(self) >= duration('1s') && duration(self) <= duration('24h')",
          message: "interval must be between 1s and 24h",
        }),
      )
      .describe("How often registry and store are polled (5 % jitter)."),
    suspend: z
      .boolean()
      .default(false)
      .describe("Stop acting: what runs goes on running, nothing new is released."),
    release: ReleasePolicy,
    verify: Verify,
    rollout: Rollout,
    notifications: Notifications,
    credentials: Credentials,
    replicas: z
      .int32()
      .min(0)
      .max(1000)
      .optional()
      .describe("How many pods serve. 1 when neither this nor autoscaling is set."),
    autoscaling: Autoscaling.optional(),
    resources: z
      .object({
        requests: z.record(z.string(), Quantity).optional(),
        limits: z.record(z.string(), Quantity).optional(),
      })
      .optional()
      .describe("Resources of the server container."),
    env: z
      .array(EnvVar)
      .max(256)
      .optional()
      .meta(listMap("name"))
      .describe("Environment of the server container, as in a Pod."),
    serviceAccountName: ObjectName.optional().describe(
      "The pods' ServiceAccount. One named after the app is made when this is empty.",
    ),
    imagePullSecrets: z
      .array(z.object({ name: ObjectName }))
      .max(16)
      .optional()
      .meta(listMap("name")),
    nodeSelector: z.record(z.string(), z.string().max(63)).optional(),
    tolerations: z
      .array(z.looseObject({}).meta(preserveUnknown))
      .max(64)
      .optional()
      .meta({ "x-kubernetes-list-type": "atomic" }),
    podTemplate: z
      .looseObject({})
      .optional()
      .meta(preserveUnknown)
      .describe(
        "A partial PodTemplateSpec, merged strategically over the one that the operator makes. The server container is named server.",
      ),
    labels: Labels,
    annotations: Annotations,
    server: Server,
    service: Service,
  })
  .meta(
    cel(
      {
        rule: "has(self.imagePolicy) || self.image.matches('(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}|@sha256:[0-9a-f]{64})$')",
        message:
          "image must end in a tag (:1.4) or a digest (@sha256:…), or imagePolicy choose one",
        fieldPath: ".image",
      },
      {
        rule: "!(has(self.imagePolicy) && self.image.contains('@'))",
        message: "imagePolicy and a pinned digest exclude each other: remove one",
      },
      {
        rule: "!(has(self.replicas) && has(self.autoscaling))",
        message: "replicas and autoscaling exclude each other: remove one",
      },
      {
        rule: "!(has(self.autoscaling) && has(self.verify) && self.verify.placement == 'InPlace')",
        message:
          "verify.placement InPlace needs a fixed number of pods: the autoscaler would take the place again; set replicas, or use Surge",
      },
      {
        rule: "!(has(self.rollout) && self.rollout.strategy != 'Rolling' && has(self.verify) && self.verify.placement == 'InPlace')",
        message:
          "verify.placement InPlace needs rollout.strategy Rolling: other strategies need a place for a second set of pods; use Surge, or Rolling",
      },
      ...portRules,
    ),
  );
export type AIAppSpec = z.infer<typeof AIAppSpec>;
