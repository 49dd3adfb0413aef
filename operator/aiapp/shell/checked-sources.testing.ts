import { MANIFEST } from "../../../crds/bundle.ts";
import type { Clock } from "../../clock.ts";
import { isKeeperTag, KEPT_FOLDER } from "../../sources/keep/names.ts";
import type { Sources } from "./sources.testing.ts";

type Checked = Pick<Sources, "registry" | "models" | "copies">;

const DAY_MS = 24 * 3_600_000;
/** As docs/operations.md says. */
const CLAIM_MS = 14 * DAY_MS;

/** The sources of one process. Reports a poll that it has just made for another app, and lost claims and copies. */
export function checkSources(
  { registry, models, copies, kept }: Sources,
  { now }: Pick<Clock, "now">,
  report: (what: string) => void,
): Checked {
  const polled = new Map<string, number>();
  function notePoll(what: string): void {
    if (polled.get(what) === now()) report(`${what} is polled twice at once`);
    polled.set(what, now());
  }
  /** Those in force of the copy that a file is part of. */
  function claimsOf(path: string): readonly string[] {
    const [version] = path.slice(KEPT_FOLDER.length + 1).split("/");
    const claims = kept.blobs.get(`${KEPT_FOLDER}/${version}/${MANIFEST}`) ?? {};
    return Object.keys(claims).filter((claim) => now() - Number(claims[claim]) < CLAIM_MS);
  }
  async function keepingClaims<T>(path: string, write: () => Promise<T>): Promise<T> {
    const before = claimsOf(path);
    // In memory it takes effect before another one begins.
    const result = write();
    const lost = before.filter((claim) => !claimsOf(path).includes(claim));
    if (lost.length > 0) report(`${path} loses ${lost.join()}, which is in force`);
    return result;
  }
  return {
    registry: {
      ...registry,
      resolve: (reference, ...rest) => {
        const { registry: host, repository, tag, digest } = reference;
        if (tag !== undefined && digest === undefined && !isKeeperTag(tag))
          notePoll(`image ${host}/${repository}:${tag}`);
        return registry.resolve(reference, ...rest);
      },
    },
    models: {
      ...models,
      listVersions: (location, ...rest) => {
        if (location.name !== KEPT_FOLDER) notePoll(`model ${location.store}/${location.name}`);
        return models.listVersions(location, ...rest);
      },
    },
    copies: {
      copy: (store, copy, ...rest) =>
        keepingClaims(copy.to, () => copies.copy(store, copy, ...rest)),
      write: (store, blob, ...rest) =>
        keepingClaims(blob.path, () => copies.write(store, blob, ...rest)),
      setMetadata: (store, blob, ...rest) =>
        keepingClaims(blob.path, () => copies.setMetadata(store, blob, ...rest)),
      remove: (store, blob, ...rest) =>
        keepingClaims(blob.path, () => copies.remove(store, blob, ...rest)),
    },
  };
}
