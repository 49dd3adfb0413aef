import { z } from "zod";

import { conditionTypes } from "../conditions.ts";
import { listMap } from "./fields.ts";

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

/** What became of the copy that is to survive a deletion at the source. */
export const KeptStatus = z.object({
  state: z.enum(["Kept", "Copying", "Refused", "Impossible", "Lost"]),
  /** Where the copy is, or why there is none and what to do. */
  message: z.string().max(2048),
});
export type KeptStatus = z.infer<typeof KeptStatus>;

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

/** The current or the previous release. */
export const ServedStatus = ReleaseStatus.extend({
  /** Of the server container, of the spec or the default one. */
  memoryLimit: z.string().optional(),
  /** With release.keep: Auto, after the first look. */
  kept: z.object({ image: KeptStatus.optional(), model: KeptStatus.optional() }).optional(),
});
export type ServedStatus = z.infer<typeof ServedStatus>;

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
  current: ServedStatus.optional(),
  candidate: ReleaseStatus.optional(),
  previous: ServedStatus.optional(),
  quarantined: z
    .array(z.object({ id: z.string(), reason: z.string(), message: z.string(), since: z.string() }))
    .max(50)
    .optional()
    .meta(listMap("id")),
  history: z.array(ReleaseStatus).max(50).optional().meta(listMap("id")),
  sources: z.object({ image: SourceStatus.optional(), model: SourceStatus.optional() }).optional(),
  /** Restarts and evictions of the pods that run now, also if they serve again. */
  disruptions: z
    .object({ restarts: z.int32(), evictions: z.int32(), message: z.string() })
    .optional(),
  /** What others have added to the pods of the Deployment, by path: the operator leaves it alone. */
  unmanagedEntries: z
    .array(z.string())
    .max(20)
    .optional()
    .meta({ "x-kubernetes-list-type": "atomic" }),
  /** What policies of the cluster have changed in the objects that the operator applies, by object and path. */
  overriddenFields: z
    .array(z.string())
    .max(20)
    .optional()
    .meta({ "x-kubernetes-list-type": "atomic" }),
  nextReleaseTime: z.string().optional(),
  lastHandledReconcileAt: z.string().optional(),
});
export type AIAppStatus = z.infer<typeof AIAppStatus>;
