import { z } from "zod";

import { blames } from "./journal.ts";
import { NotifiedPhase } from "./aiapp/notifications.ts";

/**
 * What a webhook of type Generic gets: a CloudEvent (https://cloudevents.io, 1.0) in structured JSON. Members are added
 * without notice; another meaning of one is another `type`.
 */

export const EVENT_TYPE = "dev.aiapp.release.phase.v1";
export const CONTENT_TYPE = "application/cloudevents+json";

/** A release as people name it. */
const NotifiedRelease = z.object({
  id: z.string().describe("Ten hex digits: the same image, model and spec give the same id."),
  image: z.string(),
  imageDigest: z.string(),
  modelVersion: z.string(),
  modelDigest: z.string(),
});
export type NotifiedRelease = z.infer<typeof NotifiedRelease>;

const ReleaseNotice = z.object({
  app: z.object({ namespace: z.string(), name: z.string() }),
  release: NotifiedRelease,
  phase: NotifiedPhase.describe("The phase that the release has entered."),
  before: NotifiedRelease.optional().describe(
    "The release that was fully rolled out before this one; absent for the first one of an app.",
  ),
  changed: z
    .array(z.enum(["image", "model", "spec"]))
    .describe(
      "What differs from `before`. Empty without it, and when the same release comes again.",
    ),
  reason: z.string().optional().describe("Of a failed release: a reason of docs/errors.md."),
  message: z.string().optional().describe("Why: what the operator saw."),
  blame: z
    .enum(blames)
    .optional()
    .describe("Which part made the release fail, once that is known."),
  requestedBy: z
    .string()
    .optional()
    .describe("Who asked for it by annotation: the field manager and the time."),
  summary: z.string().describe("All of it in one sentence."),
  action: z.string().optional().describe("What a person can do now."),
});
export type ReleaseNotice = z.infer<typeof ReleaseNotice>;

export const ReleaseEvent = z
  .object({
    specversion: z.literal("1.0"),
    id: z
      .string()
      .describe(
        "Unique in `source`. An event may arrive more than once: one with a known id is a repetition.",
      ),
    source: z.string().describe("/apis/aiapp.dev/namespaces/<namespace>/aiapps/<name>"),
    type: z.literal(EVENT_TYPE),
    subject: z.string().describe("The id of the release."),
    time: z.iso.datetime().describe("When the release entered the phase."),
    datacontenttype: z.literal("application/json"),
    data: ReleaseNotice,
  })
  .describe("A release of an AIApp has entered a phase.");
export type ReleaseEvent = z.infer<typeof ReleaseEvent>;
