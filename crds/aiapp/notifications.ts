import { z } from "zod";

import { listMap, ObjectName } from "./fields.ts";
import { phases } from "./status.ts";

/** `spec.notifications`: whom the operator notifies of a release. */

/** The phases that a notification may be about. The others are over within one reconcile, or waited for elsewhere. */
export const NotifiedPhase = z.enum(phases).exclude(["Settling", "Composing"]);
export type NotifiedPhase = z.infer<typeof NotifiedPhase>;

export const MAX_NOTIFICATIONS = 8;

export const NotificationTarget = z.object({
  name: z
    .string()
    .min(1)
    .max(63)
    .regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/)
    .describe("Unique in the list. Conditions name it."),
  type: z
    .enum(["Generic", "Slack", "Teams"])
    .describe(
      "Generic: a CloudEvent as JSON. Slack: an incoming webhook. Teams: a Workflows webhook that posts an Adaptive Card.",
    ),
  secret: ObjectName.describe(
    "A Secret in this namespace with the key url (https). With the key token, for Generic, the operator sends Authorization: Bearer <token>.",
  ),
  phases: z
    .array(NotifiedPhase)
    .min(1)
    .max(NotifiedPhase.options.length)
    .default(["AwaitingApproval", "Released", "Failed"])
    .meta({ "x-kubernetes-list-type": "set" })
    .describe("The phases of a release that it is sent for."),
});
export type NotificationTarget = z.infer<typeof NotificationTarget>;

export const Notifications = z
  .array(NotificationTarget)
  .max(MAX_NOTIFICATIONS)
  .optional()
  .meta(listMap("name"))
  .describe("Webhooks that the operator calls when a release enters a phase.");
