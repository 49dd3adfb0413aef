import { annotations } from "../../../crds/names.ts";
import { kinds, type Kind, type KubernetesObject } from "../../kube/types.ts";
import { canonical } from "../canonical.ts";
import { ownedKinds } from "../cache.ts";
import { readJournal } from "../release/journal.ts";
import { aiappKind } from "../status-writer.ts";
import type { StagedApp } from "./staged-app.testing.ts";

/** What an app has come to, by object: all but times, and what the API server counts. */
export type Snapshot = Readonly<Record<string, unknown>>;

export async function takeSnapshot(app: StagedApp): Promise<Snapshot> {
  const snapshot: Record<string, unknown> = {};
  const kindsOfApp: readonly Kind[] = [aiappKind, kinds.pod, ...ownedKinds];
  for (const kind of kindsOfApp) {
    for (const object of await app.objects(kind))
      snapshot[`${kind.kind} ${object.metadata?.name}`] = plain(object);
  }
  return snapshot;
}

function plain(object: KubernetesObject): unknown {
  const { metadata, ...rest } = withoutMemories(object);
  const { labels, annotations: notes = {} } = metadata ?? {};
  const { [annotations.journal]: journal, ...others } = notes;
  const entries = readJournal(journal).map((entry) => ({
    ...entry,
    at: undefined,
    step: undefined,
  }));
  const whole = { ...rest, labels, notes: others, entries };
  return JSON.parse(withoutTimes(canonical(whole)));
}

/** What a source was before it failed is known to the process that polled it then, and to no other. */
function withoutMemories(object: KubernetesObject): KubernetesObject {
  const status: unknown = Reflect.get(object, "status");
  const sources: unknown = Reflect.get(Object(status), "sources");
  if (typeof sources !== "object" || sources === null) return object;
  const known = Object.entries(sources).map(([name, source]: [string, object]) => {
    const { reference, lastError } = source as Record<string, unknown>;
    return [name, lastError === undefined ? source : { reference, lastError }] as const;
  });
  return Object.assign(
    { ...object },
    {
      status: { ...Object(status), sources: Object.fromEntries(known) },
    },
  );
}

/** Times in any text, and generations: another number of writes is no other result. */
function withoutTimes(text: string): string {
  return text
    .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g, "<time>")
    .replace(/"(observedGeneration|lastHandledAt)":\d+/g, '"$1":0')
    .replace(/"(controller-uid|batch\.kubernetes\.io\/controller-uid|uid)":"[^"]*"/g, '"$1":""');
}
