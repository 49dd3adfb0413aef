import { GROUP } from "../../crds/names.ts";
import { kinds, type KubernetesObject } from "../kube/types.ts";
import type { Change } from "../runtime/indexer.ts";
import type { Priority } from "../runtime/pending.ts";

/**
 * How soon a change of an AIApp is worked on. What a user asks of an app that is there comes first. A new app is
 * `background`, as those in the first list are: to release what can be released comes before the first status of
 * others. A change of the status alone, most often the operator's own write, is `background` too.
 */
export function priorityOfApp(
  app: KubernetesObject,
  { previous, gone }: Change<KubernetesObject>,
): Priority {
  if (gone) return "default";
  if (previous === undefined) return "background";
  const isUserChange =
    generationOf(app) !== generationOf(previous) ||
    app.metadata?.deletionTimestamp !== previous.metadata?.deletionTimestamp ||
    requestsOf(app) !== requestsOf(previous);
  return isUserChange ? "user" : "background";
}

/**
 * How soon a change of an object that an app owns is worked on. A new one, most often the operator's own write, is
 * `background`: nothing is to be done about it, and several of them cost one reconcile.
 */
export function priorityOfOwned(
  object: KubernetesObject,
  { previous, gone, initial }: Change<KubernetesObject>,
): Priority {
  if (initial) return "background";
  if (gone) return "default";
  if (previous === undefined) return "background";
  const reports = object.kind === kinds.deployment.kind || object.kind === kinds.job.kind;
  const hasProgressed = reports && statusOf(object) !== statusOf(previous);
  return hasProgressed ? "rollout" : "default";
}

function statusOf(object: KubernetesObject): string {
  return JSON.stringify(Reflect.get(object, "status")) ?? "";
}

function generationOf({ metadata }: KubernetesObject): unknown {
  return Reflect.get(metadata ?? {}, "generation");
}

/** The annotations by which users ask for something. */
function requestsOf({ metadata }: KubernetesObject): string {
  const annotations: unknown = Reflect.get(metadata ?? {}, "annotations");
  if (typeof annotations !== "object" || annotations === null) return "";
  return Object.entries(annotations)
    .filter(([name]) => name.startsWith(`${GROUP}/`))
    .map((entry) => JSON.stringify(entry))
    .toSorted()
    .join();
}
