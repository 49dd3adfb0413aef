import { join } from "node:path";
import { parseArgs } from "node:util";

import { untilInterrupted } from "../cluster/process.ts";
import { explainLacks, platformLacks, withPlatform } from "../support/current.ts";
import { runInside } from "../support/outside.ts";

/**
 * `npm run demo [-- --keep]`: an app and its releases, good and bad, under traffic on a new cluster. This part prepares the cluster; the story itself
 * runs in the cluster's network (story.ts).
 */
async function main(): Promise<number> {
  const { values } = parseArgs({ options: { keep: { type: "boolean", default: false } } });
  const lacks = await platformLacks();
  if (lacks.length > 0) {
    console.error(explainLacks(lacks));
    return 1;
  }
  const story = [
    process.execPath,
    join(import.meta.dirname, "story.ts"),
    ...(values.keep ? ["--keep"] : []),
  ] as const;
  return withPlatform({ signal: untilInterrupted(), keep: values.keep }, (prepared) =>
    runInside(prepared, story),
  );
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
