import { z } from "zod";

import { Schedule, TimeZone } from "./schedule.ts";
import { cel, type CelRule } from "./cel.ts";
import { conditionTypes } from "./conditions.ts";
import { API_VERSION, KIND, MAX_NAME_LENGTH } from "./names.ts";

/**
 * The AIApp resource: the zod source of the CRD (`generate.ts`) and of what the operator reads.
 * What the API server can refuse is refused here, by schema or CEL, with a message that says how to fix it.
 * CEL rules ride in `.meta()` beside the field that they guard.
 */

function listMap(...keys: readonly string[]): Record<string, unknown> {
  return { "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": keys };
}

const preserveUnknown = { "x-kubernetes-preserve-unknown-fields": true } as const;

/** A DNS-1123 label or subdomain, as names of Secrets and ServiceAccounts are. */
const ObjectName = z
  .string()
  .min(1)
  .max(253)
  .regex(/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/);

/** A duration as Flux and the Gateway API write it: `30s`, `5m`, `1h30m`. */
export const Duration = z
  .string()
  .max(32)
  .regex(/^([0-9]{1,5}(h|m|s|ms)){1,4}$/);

const Port = z.int32().min(1).max(65_535);

export const Model = z.object({
  store: z
    .string()
    .min(1)
    .max(1024)
    .regex(/^https?:\/\/[^/?#@\s]+\/[^?#\s]+$/)
    .meta(
      cel({
        rule: "!self.endsWith('/')",
        message:
          "store must not end in '/': write https://<account>.blob.core.windows.net/<container>",
      }),
    )
    .describe(
      "The Blob container that holds the models: https://<account>.blob.core.windows.net/<container>. A SAS token belongs in the Secret named by credentials.storage, not in the URL.",
    ),
  name: z
    .string()
    .min(1)
    .max(253)
    .regex(
      /^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?(\/[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?)*$/,
    )
    .describe("The model's folder in the store: versions live at <store>/<name>/<version>/."),
  order: z
    .enum(["Auto", "Numeric", "SemVer", "Date"])
    .default("Auto")
    .describe(
      "How versions compare for latest and ranges. Auto tries dates first, then semantic versions with 7 read as 7.0.0.",
    ),
  requireManifest: z
    .boolean()
    .optional()
    .describe(
      "Count only versions whose manifest.json is there. Defaults to true for latest and ranges, to false for a version named exactly.",
    ),
  files: z
    .array(
      z.object({
        name: z
          .string()
          .min(1)
          .max(512)
          .regex(/^[A-Za-z0-9_.@+=,-]+(\/[A-Za-z0-9_.@+=,-]+)*$/)
          .meta(
            cel({
              rule: "!self.split('/').exists(s, s == '.' || s == '..')",
              message: "name must be a path inside the bundle, without '.' or '..'",
            }),
          )
          .describe("A file of the bundle."),
        mountPath: z
          .string()
          .min(2)
          .max(512)
          .regex(/^\/[^:]+$/)
          .describe("Where the code image expects it: an absolute path."),
      }),
    )
    .max(32)
    .optional()
    .meta(listMap("mountPath"))
    .describe("Single files mounted where a code image of your own expects them."),
});
export type Model = z.infer<typeof Model>;

export const ImagePolicy = z
  .object({
    semver: z
      .string()
      .min(1)
      .max(128)
      .optional()
      .describe(
        'Follow the newest tag in a range, such as ">=1.4 <2". Tags that are no semantic versions (1.4.2, v1.4.2) do not count.',
      ),
    pattern: z
      .string()
      .min(1)
      .max(128)
      .optional()
      .meta(
        cel(
          {
            rule: "self.contains('(')",
            message: "pattern must hold one group, around the number: main-[0-9a-f]+-([0-9]+)",
          },
          // What is no regular expression fails in here.
          { rule: "'0'.matches(self) in [true, false]", message: "pattern must be RE2" },
        ),
      )
      .describe(
        "Follow the tag with the highest number: a regular expression (RE2) for the whole tag, with one group around the number.",
      ),
  })
  .meta(
    cel({
      rule: "has(self.semver) != has(self.pattern)",
      message: "imagePolicy must hold either semver or pattern",
    }),
  );
export type ImagePolicy = z.infer<typeof ImagePolicy>;

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

const Quantity = z
  .union([z.int32(), z.string().max(64)])
  .meta({ "x-kubernetes-int-or-string": true });

/** An environment variable, as in a Pod. */
const EnvVar = z.object({
  name: z
    .string()
    .min(1)
    .max(253)
    .regex(/^[-._A-Za-z][-._A-Za-z0-9]*$/),
  value: z.string().max(32_768).optional(),
  valueFrom: z.looseObject({}).optional().meta(preserveUnknown),
});

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
    release: z
      .object({
        onFailure: z
          .enum(["TryHalves", "Keep"])
          .default("TryHalves")
          .describe(
            "When image and model both changed and the pair fails. TryHalves: each half is verified with the other half's running version, and the good one is released. Keep: the running release stays.",
          ),
        approval: z
          .enum(["Automatic", "Manual"])
          .default("Automatic")
          .describe(
            "Manual: a verified release waits until the annotation aiapp.dev/approve names its id.",
          ),
        schedule: Schedule.optional().describe(
          'When releases may start: a cron expression of five fields, such as "0 2 * * 1-5". Releases are found and verified at once, and rolled out then.',
        ),
        timeZone: TimeZone.optional().describe(
          "The IANA time zone of schedule, such as Europe/Berlin. UTC unless set.",
        ),
        duration: Duration.optional().describe(
          "How long a window stays open after each time of schedule. 1h unless set.",
        ),
        settle: Duration.default("0s").describe(
          "Wait so long after the last change, at most four times as long in all, so that a half-published pair is not released.",
        ),
        minAge: Duration.default("0s").describe(
          "A pair must have been there so long before it is released.",
        ),
        historyLimit: z
          .int32()
          .min(1)
          .max(50)
          .default(10)
          .describe("How many past releases are kept, in status and as ControllerRevisions."),
      })
      .optional()
      .meta(
        cel(
          {
            rule: "has(self.schedule) || (!has(self.timeZone) && !has(self.duration))",
            message:
              "release.timeZone and release.duration need release.schedule: set it, or remove them",
          },
          {
            rule: "!has(self.duration) || (duration(self.duration) >= duration('1m') && duration(self.duration) <= duration('168h'))",
            message: "release.duration must be between 1m and 168h",
          },
          {
            rule: "duration(self.settle) <= duration('24h')",
            message: "release.settle must be at most 24h",
          },
          {
            rule: "duration(self.minAge) <= duration('720h')",
            message: "release.minAge must be at most 720h",
          },
        ),
      ),
    verify: z
      .object({
        enabled: z
          .boolean()
          .default(true)
          .describe("false: releases are rolled out unverified. Failures are still undone."),
        samples: z
          .boolean()
          .default(true)
          .describe(
            "The new pods must answer the samples of the bundle as recorded, before they get a request.",
          ),
        timeout: Duration.default("10m").describe(
          "How long a verification may run once its pod has started.",
        ),
        job: z
          .object({
            image: z.string().min(1).max(1024).describe("The test container's image."),
            command: z.array(z.string().max(4096)).max(64).optional(),
            args: z.array(z.string().max(4096)).max(64).optional(),
            env: z.array(EnvVar).max(64).optional().meta(listMap("name")),
          })
          .optional()
          .describe(
            "A test container of your own. It runs beside the new server before any request reaches it, finds it at AIAPP_URL, and decides by its exit status.",
          ),
      })
      .optional()
      .meta(
        cel({
          rule: "duration(self.timeout) >= duration('10s') && duration(self.timeout) <= duration('24h')",
          message: "verify.timeout must be between 10s and 24h",
        }),
      )
      .describe("How a release is verified before it gets any request."),
    rollout: z
      .object({
        strategy: z
          .enum(["Rolling"])
          .default("Rolling")
          .describe("Rolling: new pods first, old pods leave when the new ones are ready."),
        progressDeadline: Duration.default("10m").describe(
          "A rollout that makes no progress for so long is undone and not tried again. Waiting for a node does not count.",
        ),
      })
      .optional()
      .meta(
        cel({
          rule: "duration(self.progressDeadline) >= duration('10s') && duration(self.progressDeadline) <= duration('24h')",
          message: "rollout.progressDeadline must be between 10s and 24h",
        }),
      ),
    credentials: z
      .object({
        storage: ObjectName.optional().describe(
          "A Secret in this namespace with accountName and accountKey, or sasToken.",
        ),
        registry: ObjectName.optional().describe(
          "A Secret in this namespace of type kubernetes.io/dockerconfigjson; the pods pull with it too.",
        ),
        anonymous: z
          .array(z.enum(["Registry", "Storage"]))
          .max(2)
          .optional()
          .meta({ "x-kubernetes-list-type": "set" })
          .describe("What is read without any identity. Nothing is, unless said here."),
      })
      .meta(
        cel(
          {
            rule: "!(has(self.storage) && has(self.anonymous) && 'Storage' in self.anonymous)",
            message: "credentials.storage and anonymous Storage exclude each other: remove one",
          },
          {
            rule: "!(has(self.registry) && has(self.anonymous) && 'Registry' in self.anonymous)",
            message: "credentials.registry and anonymous Registry exclude each other: remove one",
          },
        ),
      )
      .optional()
      .describe("For when workload identity does not serve."),
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
    server: z
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
      .describe("For code images that are not our model server."),
    service: z
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
      })
      .optional(),
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
    ),
  );
export type AIAppSpec = z.infer<typeof AIAppSpec>;

export const Condition = z.object({
  type: z.enum(conditionTypes),
  status: z.enum(["True", "False", "Unknown"]),
  observedGeneration: z.number().int().optional(),
  lastTransitionTime: z.string(),
  reason: z.string().min(1).max(1024),
  message: z.string().max(32_768),
});
export type Condition = z.infer<typeof Condition>;

/** `Settling → (Composing) → Verifying → AwaitingApproval → Scheduled → RollingOut → Released`, or `Failed`, or `Superseded`. */
export const phases = [
  "Settling",
  "Composing",
  "Verifying",
  "AwaitingApproval",
  "Scheduled",
  "RollingOut",
  "Released",
  "Failed",
  "Superseded",
] as const;
export type Phase = (typeof phases)[number];

export const ReleaseStatus = z.object({
  id: z.string().max(10),
  image: z.string(),
  /** As people know the image: the tag, or the digest that the spec pins. */
  imageTag: z.string().optional(),
  imageDigest: z.string(),
  modelVersion: z.string(),
  modelDigest: z.string(),
  /** RFC 3339: when the phase began. */
  since: z.string(),
  phase: z.enum(phases),
  /** Why it is in this phase: of a failed release the cause. */
  reason: z.string().optional(),
  message: z.string().optional(),
  /** Who asked for it, when a person did. */
  by: z.string().optional(),
});
export type ReleaseStatus = z.infer<typeof ReleaseStatus>;

export const SourceStatus = z.object({
  reference: z.string(),
  /** What was seen last: a tag or a version, and the digest. */
  seen: z.string().optional(),
  digest: z.string().optional(),
  lastCheckedAt: z.string().optional(),
  nextCheckAt: z.string().optional(),
  lastError: z.string().optional(),
});
export type SourceStatus = z.infer<typeof SourceStatus>;

export const AIAppStatus = z.object({
  observedGeneration: z.number().int(),
  conditions: z.array(Condition).max(16).optional().meta(listMap("type")),
  url: z.string().optional(),
  replicas: z.number().int().optional(),
  readyReplicas: z.number().int().optional(),
  selector: z.string().optional(),
  current: ReleaseStatus.optional(),
  candidate: ReleaseStatus.optional(),
  previous: ReleaseStatus.optional(),
  quarantined: z
    .array(z.object({ id: z.string(), reason: z.string(), message: z.string(), since: z.string() }))
    .max(50)
    .optional()
    .meta(listMap("id")),
  history: z.array(ReleaseStatus).max(50).optional().meta(listMap("id")),
  sources: z.object({ image: SourceStatus.optional(), model: SourceStatus.optional() }).optional(),
  nextReleaseTime: z.string().optional(),
  lastHandledReconcileAt: z.string().optional(),
});
export type AIAppStatus = z.infer<typeof AIAppStatus>;

/** What the API server gives us of `metadata`; the rest passes through. */
export const ObjectMeta = z.looseObject({
  name: z.string(),
  namespace: z.string(),
  uid: z.string(),
  resourceVersion: z.string().optional(),
  generation: z.number().int(),
  deletionTimestamp: z.string().optional(),
  annotations: z.record(z.string(), z.string()).optional(),
});

/** An AIApp as read from the API server. Every field of it is untrusted. */
export const AIApp = z.object({
  apiVersion: z.literal(API_VERSION),
  kind: z.literal(KIND),
  metadata: ObjectMeta,
  spec: AIAppSpec,
  status: AIAppStatus.optional(),
});
export type AIApp = z.infer<typeof AIApp>;

/** Rules over the whole object: names are too long or ambiguous for what is derived from them. */
export const rootRules: readonly CelRule[] = [
  {
    rule: `size(self.metadata.name) <= ${MAX_NAME_LENGTH}`,
    message: `name must have at most ${MAX_NAME_LENGTH} characters: objects named <name>-<release id> are derived from it`,
  },
  {
    rule: "self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
    message:
      "name must be lower-case letters, digits and '-', begin with a letter and hold no dot: a Service is named after it",
  },
  {
    rule: "!self.metadata.name.endsWith('-candidate') && !self.metadata.name.endsWith('-verify')",
    message: "name must not end in -candidate or -verify: those are names of another app's objects",
  },
];
