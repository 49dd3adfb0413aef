import { z } from "zod";

import { Duration } from "./aiapp/fields.ts";
import { cel } from "./cel.ts";
import { LabelSelector } from "./label-selector.ts";
import { API_VERSION, FREEZE_KIND } from "./names.ts";
import { Schedule, TimeZone } from "./schedule.ts";

/**
 * The AIAppReleaseFreeze resource: while one holds, no release begins in the namespaces that it selects. The zod source of
 * the CRD (`generate.ts`) and of what the operator reads, as `aiapp.ts` is for the AIApp.
 */

/** A point in time as RFC 3339 writes it. A string without `format`, so that the refusal can say what to write. */
function timestamp(field: string): z.ZodString {
  return z
    .string()
    .max(40)
    .meta(
      cel({
        // timestamp() fails for days that do not exist, such as 30 February.
        rule: String.raw`self.matches('^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})$') && timestamp(self) > timestamp('1970-01-01T00:00:00Z')`,
        message: `${field} must be a date and time with a time zone (RFC 3339), such as 2026-12-20T00:00:00Z or 2026-12-20T00:00:00+01:00`,
      }),
    );
}

export const AIAppReleaseFreezeSpec = z
  .object({
    namespaceSelector: LabelSelector.optional().describe(
      "The namespaces whose AIApps are frozen, by their labels. All namespaces when it is not set or empty.",
    ),
    from: timestamp("from")
      .optional()
      .describe("When the freeze begins (RFC 3339). At once when it is not set."),
    until: timestamp("until")
      .optional()
      .describe(
        "When the freeze ends (RFC 3339). When it is not set, the freeze holds until this object is deleted.",
      ),
    schedule: Schedule.optional().describe(
      "For a freeze that recurs: when each one begins, as a cron expression of five fields.",
    ),
    timeZone: TimeZone.optional().describe(
      "The IANA time zone of schedule, such as Europe/Berlin. UTC when it is not set.",
    ),
    duration: Duration.optional()
      .meta(
        cel({
          rule: "duration(self) >= duration('1m') && duration(self) <= duration('8784h')",
          message: "duration must be between 1m and 8784h (a year)",
        }),
      )
      .describe("How long each recurring freeze holds after it began."),
    reason: z
      .string()
      .min(1)
      .max(256)
      .meta(
        cel({
          rule: String.raw`self.matches('\\S')`,
          message: "reason must say why releases are frozen: the condition of each AIApp shows it",
        }),
      )
      .describe("Why releases are frozen. The conditions of the frozen AIApps show it."),
  })
  .meta(
    cel(
      {
        rule: "!has(self.from) || !has(self.until) || timestamp(self.until) > timestamp(self.from)",
        message:
          "until must be after from: write a later until, or remove until to freeze until this object is deleted",
        fieldPath: ".until",
      },
      {
        rule: "!has(self.schedule) || !(has(self.from) || has(self.until))",
        message:
          "schedule excludes from and until: write schedule and duration for a freeze that recurs, from and until for a single one",
        fieldPath: ".schedule",
      },
      {
        rule: "!has(self.schedule) || has(self.duration)",
        message: "schedule needs a duration: how long each freeze holds, such as 60h",
        fieldPath: ".duration",
      },
      {
        rule: "has(self.schedule) || !(has(self.duration) || has(self.timeZone))",
        message:
          "duration and timeZone belong to schedule: add a schedule, or write from and until for a single freeze",
        fieldPath: ".schedule",
      },
    ),
  );
export type AIAppReleaseFreezeSpec = z.infer<typeof AIAppReleaseFreezeSpec>;

/** An AIAppReleaseFreeze as read from the API server. */
export const AIAppReleaseFreeze = z.object({
  apiVersion: z.literal(API_VERSION),
  kind: z.literal(FREEZE_KIND),
  metadata: z.looseObject({ name: z.string() }),
  spec: AIAppReleaseFreezeSpec,
});
export type AIAppReleaseFreeze = z.infer<typeof AIAppReleaseFreeze>;
