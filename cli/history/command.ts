import { readApp } from "../app.ts";
import { heldRelease, releasesOf, requireRelease } from "../control/releases.ts";
import { exitCodes } from "../errors.ts";
import type { KubeTarget } from "../kube.ts";
import { openCluster } from "../kube.ts";
import type { Terminal } from "../terminal.ts";
import { safeJson } from "../terminal.ts";
import { readJournals } from "./journal.ts";
import { renderHistory } from "./render.ts";

export interface HistoryFlags extends KubeTarget {
  readonly output: "text" | "json";
}

/** @param release shows this one alone */
export async function historyCommand(
  name: string,
  release: string | undefined,
  flags: HistoryFlags,
  terminal: Terminal,
  now: () => number,
  signal: AbortSignal,
): Promise<number> {
  const cluster = await openCluster(flags);
  const [app, records] = await Promise.all([
    readApp(name, cluster, signal),
    cluster.listRecords(name, signal),
  ]);
  if (release !== undefined) requireRelease(app, release);
  const journals = records === undefined ? undefined : readJournals(records);
  if (flags.output === "text") {
    terminal.out(renderHistory(app, journals, release, now(), terminal.style));
    return exitCodes.ok;
  }
  const { status } = app;
  const releases = releasesOf(app)
    .filter(({ id }) => release === undefined || id === release)
    .map((one) => ({ ...one, journal: journals?.get(one.id) }));
  const result = {
    name: app.metadata.name,
    namespace: app.metadata.namespace,
    current: status?.current?.id,
    previous: status?.previous?.id,
    candidate: status?.candidate?.id,
    held: heldRelease(app),
    releases,
    journals: journals === undefined ? "forbidden" : "shown",
  };
  terminal.out(`${safeJson(result)}\n`);
  return exitCodes.ok;
}
