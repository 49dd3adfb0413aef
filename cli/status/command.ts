import { setTimeout as sleep } from "node:timers/promises";

import type { AIApp } from "../../crds/aiapp/aiapp.ts";
import { readApp } from "../app.ts";
import { heldRelease } from "../control/releases.ts";
import { CliError, exitCodes } from "../errors.ts";
import type { Cluster, KubeTarget } from "../kube.ts";
import { openCluster } from "../kube.ts";
import type { Terminal } from "../terminal.ts";
import { safeJson, sanitize } from "../terminal.ts";
import { isCurrent, isProblem, isReady } from "./conditions.ts";
import { hintFor } from "./hints.ts";
import { renderStatus } from "./render.ts";

export interface StatusFlags extends KubeTarget {
  readonly watch: boolean;
  readonly output: "text" | "json";
}

const WATCH_MS = 2_000;

/** @returns the exit code: 0 when the app is ready, 3 when it is not. */
export async function statusCommand(
  name: string,
  flags: StatusFlags,
  terminal: Terminal,
  now: () => number,
  signal: AbortSignal,
): Promise<number> {
  const cluster = await openCluster(flags);
  if (flags.watch) return watch(name, cluster, flags, terminal, now, signal);
  const app = await readApp(name, cluster, signal);
  terminal.out(
    flags.output === "json" ? `${json(app)}\n` : renderStatus(app, now(), terminal.style),
  );
  return isReady(app) ? exitCodes.ok : exitCodes.notReady;
}

/**
 * Reads the object every two seconds. One GET is cheap for the API server, the ages on screen keep moving, and a watch
 * that the API server drops needs no handling of its own.
 */
async function watch(
  name: string,
  cluster: Cluster,
  flags: StatusFlags,
  terminal: Terminal,
  now: () => number,
  signal: AbortSignal,
): Promise<number> {
  let last = "";
  for (let first = true; ; first = false) {
    let text: string;
    let key: string;
    try {
      const app = await readApp(name, cluster, signal);
      text = flags.output === "json" ? `${json(app)}\n` : renderStatus(app, now(), terminal.style);
      key = JSON.stringify([
        app.spec,
        app.metadata.generation,
        app.status?.conditions,
        app.status?.current,
        app.status?.candidate,
        app.status?.quarantined,
        app.status?.nextReleaseTime,
        heldRelease(app),
      ]);
    } catch (error) {
      // Retry only an API server that is unavailable, and only after a read that succeeded.
      if (first || !(error instanceof CliError) || error.code !== "ClusterUnavailable") throw error;
      text = `${terminal.style.bad(sanitize(error.message))}\n`;
      key = text;
    }
    if (terminal.interactive && flags.output === "text") {
      terminal.out(`\u001b[H\u001b[2J${text}`);
    } else if (key !== last) {
      terminal.out(
        flags.output === "json" ? text : `--- ${new Date(now()).toISOString()}\n${text}`,
      );
    }
    last = key;
    await sleep(WATCH_MS, undefined, { signal });
  }
}

function json(app: AIApp): string {
  const { metadata, status } = app;
  const problems = (status?.conditions ?? []).filter(isProblem).map((condition) => ({
    ...condition,
    hint: hintFor(condition, app),
  }));
  return safeJson({
    name: metadata.name,
    namespace: metadata.namespace,
    ready: isReady(app),
    upToDate: isCurrent(app),
    held: heldRelease(app),
    problems,
    ...status,
  });
}
