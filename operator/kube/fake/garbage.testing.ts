import type { Kube } from "../client.ts";
import type { Kind, V1OwnerReference } from "../types.ts";

/**
 * What the garbage collector of a cluster does: deletes every object of these kinds in the namespace that has owners of
 * these kinds, none of which is there any more; until nothing is left to delete. Returns what it deleted.
 */
export async function collectGarbage(
  kube: Kube,
  kinds: readonly Kind[],
  namespace: string,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const deleted: string[] = [];
  for (;;) {
    const found = await Promise.all(
      kinds.map(async (kind) => ({
        kind,
        items: (await kube.list(kind, { namespace }, signal)).items,
      })),
    );
    const uids = new Set(found.flatMap(({ items }) => items.map(({ metadata }) => metadata?.uid)));
    const isKnown = ({ kind }: V1OwnerReference): boolean => kinds.some((one) => one.kind === kind);
    const orphans = found.flatMap(({ kind, items }) =>
      items
        .filter(({ metadata }) => {
          const owners = metadata?.ownerReferences ?? [];
          return owners.length > 0 && owners.every((one) => isKnown(one) && !uids.has(one.uid));
        })
        .map(({ metadata }) => ({ kind, name: metadata?.name ?? "", uid: metadata?.uid ?? "" })),
    );
    if (orphans.length === 0) return deleted;
    for (const { kind, name, uid } of orphans) {
      await kube.delete(kind, { namespace, name, uid }, signal);
      deleted.push(`${kind.kind} ${name}`);
    }
  }
}
