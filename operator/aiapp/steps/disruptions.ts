import type { AIAppStatus } from "../../../crds/aiapp/status.ts";
import type { V1Pod } from "../../kube/types.ts";
import type { Observed } from "../observed.ts";
import { isOf } from "./diagnose.ts";
import type { Rollout } from "../strategies/arrange.ts";

export type Disruptions = NonNullable<AIAppStatus["disruptions"]>;

const MAX_MESSAGE = 512;

/**
 * How often the pods of the current template were restarted or evicted, also when they serve again: a server that runs out
 * of memory every hour is ready nearly all the time. Undefined if nothing was.
 */
export function findDisruptions(
  { pods }: Pick<Observed, "pods">,
  { set, deployedReleaseId }: Pick<Rollout, "set" | "deployedReleaseId">,
): Disruptions | undefined {
  if (deployedReleaseId === undefined) return undefined;
  const own = pods.filter((pod) => isOf(pod, set, deployedReleaseId));
  const restarted = own.flatMap(restartsOf).toSorted((a, b) => b.count - a.count);
  const evicted = own.filter(({ status }) => status?.reason === "Evicted");
  const restarts = restarted.reduce((sum, { count }) => sum + count, 0);
  if (restarts === 0 && evicted.length === 0) return undefined;
  const [worst] = restarted;
  const last = evicted.toSorted((a, b) => createdAt(a).localeCompare(createdAt(b))).at(-1);
  const message = [
    ...(worst === undefined ? [] : [worst.message]),
    ...(last === undefined
      ? []
      : [`pod ${last.metadata?.name ?? ""} was evicted: ${last.status?.message ?? ""}`]),
  ].join("; ");
  return { restarts, evictions: evicted.length, message: message.slice(0, MAX_MESSAGE) };
}

function restartsOf({ metadata, status }: V1Pod): readonly { count: number; message: string }[] {
  return (status?.containerStatuses ?? []).flatMap(({ name, restartCount, lastState }) => {
    if (restartCount === 0) return [];
    const { exitCode, reason } = lastState?.terminated ?? {};
    const times = restartCount === 1 ? "once" : `${restartCount} times`;
    const how = exitCode === undefined ? "" : `, last after exit code ${exitCode}`;
    const why = reason === undefined || reason === "Error" ? "" : ` (${reason})`;
    const message = `container ${name} of pod ${metadata?.name ?? ""} was restarted ${times}${how}${why}`;
    return [{ count: restartCount, message }];
  });
}

/** On the wire it is text, which sorts by time. */
function createdAt({ metadata }: V1Pod): string {
  return String(metadata?.creationTimestamp ?? "");
}
