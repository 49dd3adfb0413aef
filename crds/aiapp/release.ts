import { z } from "zod";

import { cel } from "../cel.ts";
import { Schedule, TimeZone } from "../schedule.ts";
import { Duration, EnvVar, listMap } from "./fields.ts";

/** `spec.release`: when a release may begin, and what follows when it fails. */
export const ReleasePolicy = z
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
    keep: z
      .enum(["Auto", "Never"])
      .default("Auto")
      .describe(
        "Auto: where the app's identities may write, the operator keeps what the current and the previous release need: a tag aiapp-kept-<digest> beside the image, and a copy of the model under .aiapp/kept/ in its container. Never: it writes nothing there.",
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
  );

/** `spec.verify`: what a release must pass before it gets a request. */
export const Verify = z
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
    placement: z
      .enum(["Surge", "InPlace"])
      .default("Surge")
      .describe(
        "Surge: the verification's pod runs beside those that serve. InPlace: one of them gives its place, for clusters without a spare GPU or spare memory; with one replica nothing serves meanwhile.",
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
  .describe("How a release is verified before it gets any request.");

/** `spec.rollout`: how pods are replaced. */
export const Rollout = z
  .object({
    strategy: z
      .enum(["Rolling", "BlueGreen", "Canary"])
      .default("Rolling")
      .describe(
        "Rolling: new pods first, old pods terminate when the new ones are ready. BlueGreen: all new pods start beside the old ones, then all requests go to them at once. Canary: new pods beside the old ones get a share of the requests, which rises in steps.",
      ),
    keepPrevious: Duration.optional().describe(
      "BlueGreen: how long the pods of the previous release are kept after the switch, so that a rollback takes effect at once. 10m unless set.",
    ),
    canary: z
      .object({
        steps: z
          .array(
            z.object({
              weight: z
                .int32()
                .min(1)
                .max(50)
                .describe("Percent of the requests, by the number of pods: 1 to 50."),
              pause: Duration.meta(
                cel({
                  rule: "duration(self) >= duration('10s') && duration(self) <= duration('24h')",
                  message: "pause must be between 10s and 24h",
                }),
              ).describe("How long the step lasts, once its pods serve."),
            }),
          )
          .min(1)
          .max(10)
          .meta({
            "x-kubernetes-list-type": "atomic",
            ...cel({
              rule: "self.map(step, step.weight).isSorted() && self.all(a, self.exists_one(b, b.weight == a.weight))",
              message:
                "the weights of rollout.canary.steps must rise: give each step more than the one before",
            }),
          })
          .describe("After the last step all requests go to the release."),
      })
      .optional()
      .describe("Canary: the shares of requests that a new release gets before it gets all."),
    progressDeadline: Duration.default("10m").describe(
      "A rollout that makes no progress for so long is undone and not tried again. Waiting for a node does not count.",
    ),
  })
  .optional()
  .meta(
    cel(
      {
        rule: "duration(self.progressDeadline) >= duration('10s') && duration(self.progressDeadline) <= duration('24h')",
        message: "rollout.progressDeadline must be between 10s and 24h",
      },
      {
        rule: "(self.strategy == 'Canary') == has(self.canary)",
        message:
          "rollout.strategy Canary and rollout.canary.steps need each other: set both, or remove both",
      },
      {
        rule: "!has(self.keepPrevious) || self.strategy == 'BlueGreen'",
        message:
          "rollout.keepPrevious needs rollout.strategy BlueGreen: set it, or remove keepPrevious",
      },
      {
        rule: "!has(self.keepPrevious) || (duration(self.keepPrevious) >= duration('0s') && duration(self.keepPrevious) <= duration('168h'))",
        message: "rollout.keepPrevious must be between 0s and 168h",
      },
    ),
  );
