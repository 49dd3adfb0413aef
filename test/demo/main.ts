import { join } from "node:path";
import { parseArgs } from "node:util";

import { down, findCluster } from "../cluster/cluster.ts";
import { explain, preflight } from "../cluster/preflight.ts";
import { isCurrent, preflightCurrent, prepareCurrent } from "../support/current.ts";
import { prepare, runInside } from "../support/outside.ts";

/**
 * `npm run demo [-- --keep]`: from nothing to three releases under traffic. This part makes everything ready; the story
 * itself runs beside the cluster, in its network (story.ts).
 */
async function main(): Promise<number> {
  const { values } = parseArgs({ options: { keep: { type: "boolean", default: false } } });
  const lacks = await (isCurrent ? preflightCurrent() : preflight());
  if (lacks.length > 0) {
    console.error(explain(lacks));
    return 1;
  }
  const stop = new AbortController();
  // A first Ctrl-C ends what runs and then takes all down.
  process.once("SIGINT", () => stop.abort(new Error("interrupted")));
  process.once("SIGTERM", () => stop.abort(new Error("terminated")));
  const story = [
    process.execPath,
    join(import.meta.dirname, "story.ts"),
    ...(values.keep ? ["--keep"] : []),
  ] as const;
  if (isCurrent) {
    const prepared = await prepareCurrent(stop.signal);
    try {
      return await runInside(prepared, story);
    } finally {
      await prepared.close();
    }
  }
  const wasUp = (await findCluster().catch(() => undefined)) !== undefined;
  try {
    const prepared = await prepare({ signal: stop.signal });
    return await runInside(prepared, story);
  } finally {
    // A cluster that was up before is somebody's: it stays.
    if (!values.keep && !wasUp) await down();
  }
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
