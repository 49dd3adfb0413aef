import { z } from "zod";

import { cel } from "./cel.ts";

/** Fields of what recurs: release windows and recurring freezes. `operator/aiapp/release/window.ts` reads them. */

export const Schedule = z
  .string()
  .max(128)
  .meta(
    cel({
      rule: String.raw`self.matches('^\\s*([0-9A-Za-z*/,#+?-]+\\s+){4}[0-9A-Za-z*/,#+?-]+\\s*$')`,
      message:
        'schedule must be a cron expression of five fields, minute hour day month weekday, such as "0 22 * * 1-5"',
    }),
  );

export const TimeZone = z
  .string()
  .max(64)
  .meta(
    cel({
      rule: "self.matches('^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*$')",
      message: "timeZone must be a name of the IANA time zone database, such as Europe/Berlin",
    }),
  );
