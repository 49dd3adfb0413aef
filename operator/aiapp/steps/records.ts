import { labels } from "../../../crds/names.ts";
import { kinds } from "../../kube/types.ts";
import { ours, type Observed } from "../observed.ts";
import type { Action } from "../action.ts";
import { writeRecord, type ReleaseRecord } from "../release.ts";
import type { Progress } from "./progress.ts";
import type { Target } from "./target.ts";

export interface Records {
  /** As they will stand once `actions` are done, newest first. */
  readonly all: readonly ReleaseRecord[];
  readonly current: ReleaseRecord | undefined;
  readonly candidate: ReleaseRecord | undefined;
  readonly previous: ReleaseRecord | undefined;
  readonly actions: readonly Action[];
  /** Done last: a record is only forgotten once nothing rests on it. */
  readonly prune: readonly Action[];
}

/**
 * @param acts whether what is planned will be done
 *
 * Keeps the memory of releases: a record before the Deployment is touched, a mark once it is fully out. Everything in
 * status can be told from the records again.
 */
export function keepRecords(
  observed: Observed,
  target: Target,
  progress: Progress,
  { acts, now }: { readonly acts: boolean; readonly now: number },
): Records {
  const { app, records } = observed;
  const time = new Date(now).toISOString();
  const kept = new Map(records.map((record) => [record.id, record]));
  const changed = new Map<string, ReleaseRecord>();

  function keep(record: ReleaseRecord): void {
    kept.set(record.id, record);
    changed.set(record.id, record);
  }

  const { release } = target;
  // While nothing may be written, nothing begins.
  if (release !== undefined && acts) {
    const told = ours(observed.deployment)?.spec?.template.metadata?.labels?.[labels.release];
    const recorded = kept.get(release.id);
    const newest = Math.max(0, ...records.map(({ revision }) => revision));
    if (recorded === undefined || (told !== release.id && recorded.revision < newest)) {
      // A release begins, perhaps not for the first time: going back is a release too.
      const isCurrent = recorded !== undefined && recorded.id === progress.current?.id;
      const releasedAt = isCurrent ? recorded.releasedAt : undefined;
      // If the record was refused the last time, it still began then.
      const said = app.status?.candidate;
      const startedAt = said?.id === release.id ? said.since : time;
      keep({ ...release, revision: newest + 1, startedAt, releasedAt });
    } else if (progress.isOut && recorded.releasedAt === undefined) {
      keep({ ...recorded, image: release.image, releasedAt: time });
    } else if (recorded.image !== release.image) {
      keep({ ...recorded, image: release.image });
    }
  }

  const all = [...kept.values()].toSorted((a, b) => b.revision - a.revision);
  const candidate = all.find(
    ({ id, releasedAt }) => id === release?.id && releasedAt === undefined,
  );
  // While an older release is on its way again its mark is gone: what runs until it is out is the newest that has one.
  const released = all.filter(({ releasedAt }) => releasedAt !== undefined);
  const [current, previous] = released;
  const limit = app.spec.release?.historyLimit ?? 10;
  const needed = new Set([release?.id, current?.id, previous?.id]);
  const surplus = all.filter(({ id }, index) => index >= limit && !needed.has(id));
  return {
    all: all.filter((record) => !surplus.includes(record)),
    current,
    candidate,
    previous,
    actions: [...changed.values()].map((record) => ({
      kind: "apply",
      resource: kinds.controllerRevision,
      object: writeRecord(app, record),
      uid: undefined,
    })),
    prune: surplus
      .filter(({ id }) => !changed.has(id))
      .map((record) => ({
        kind: "delete",
        resource: kinds.controllerRevision,
        object: writeRecord(app, record),
      })),
  };
}
