import { LRUCache } from "lru-cache";

import { MANIFEST } from "../../../crds/bundle.ts";
import type { Clock } from "../../clock.ts";
import { isOperatorError } from "../../errors.ts";
import type { Identity } from "../identity.ts";
import type { ModelStore, StoredFile } from "../model/model-store.ts";
import { CLAIM_MS, isUnclaimed } from "./claims.ts";
import type { ModelCopies } from "./model-copies.ts";
import { isKeptVersion, KEPT_FOLDER } from "./names.ts";

/** How often the copies in one store are looked through. */
const SWEEP_MS = 24 * 3600_000;
const MAX_STORES = 2000;
/** Per sweep; the next one goes on behind them. */
const MAX_VERSIONS = 20;
const MAX_DELETIONS = 200;

export interface SweepTools {
  readonly models: Pick<ModelStore, "listVersions" | "listFiles">;
  readonly copies: Pick<ModelCopies, "remove">;
  readonly clock: Pick<Clock, "now">;
}

/**
 * Deletes kept versions that no app has claimed for two weeks, once a day and store, a few at a time. The manifest goes
 * first, and only as it was read: a claim that an app makes meanwhile changes its ETag, and the copy stays.
 */
export function createSweep({
  models,
  copies,
  clock,
}: SweepTools): (store: string, identity: Identity, signal: AbortSignal) => Promise<void> {
  /** When the store was looked through last, and up to which version. */
  const swept = new LRUCache<string, { readonly at: number; readonly upTo: string }>({
    max: MAX_STORES,
  });

  return async (store, identity, signal) => {
    const now = clock.now();
    const last = swept.get(store) ?? { at: Number.NEGATIVE_INFINITY, upTo: "" };
    if (now - last.at < SWEEP_MS) return;
    // Before the first request: a failure is not repeated by each poll.
    swept.set(store, { at: now, upTo: last.upTo });
    const location = { store, name: KEPT_FOLDER };
    const all = await models.listVersions(location, identity, signal);
    const sorted = all.filter(isKeptVersion).toSorted();
    const rest = sorted.filter((version) => version > last.upTo);
    const versions = (rest.length === 0 ? sorted : rest).slice(0, MAX_VERSIONS);
    swept.set(store, { at: now, upTo: versions.at(-1) ?? "" });
    let left = MAX_DELETIONS;
    for (const version of versions) {
      const files = await models.listFiles(location, version, identity, signal);
      for (const { path, etag } of deletable(files, now).slice(0, left)) {
        left -= 1;
        const blob = { path: `${KEPT_FOLDER}/${version}/${path}`, etag };
        try {
          if ((await copies.remove(store, blob, identity, signal)) === "changed") break;
        } catch (error) {
          // An identity without the right to delete leaves everything where it is.
          if (!isOperatorError(error, "STORAGE_AUTH_FAILED")) throw error;
          return;
        }
      }
    }
  };
}

/** The files of a kept version that no app needs, the manifest first; of one that is needed none. */
export function deletable(files: readonly StoredFile[], now: number): readonly StoredFile[] {
  const manifest = files.find(({ path }) => path === MANIFEST);
  const rest = files.filter((file) => file !== manifest);
  if (manifest !== undefined) return isUnclaimed(manifest.metadata, now) ? [manifest, ...rest] : [];
  // Left by a copy or a deletion that ended early: another copy may go on with it for as long as a claim holds.
  return files.every(({ modifiedAt }) => now - modifiedAt >= CLAIM_MS) ? rest : [];
}
