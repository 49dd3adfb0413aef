import { MANAGER } from "../crds/names.ts";
import type { Kube } from "../operator/kube/client.ts";
import { kinds, type Kind, type KubernetesObject } from "../operator/kube/types.ts";
import { BARE_NAMESPACE, NAMESPACE } from "./apps-world.ts";

/** Of the operator, and of the bare client that it is measured against. */
export const WORKERS = 4;
const BARE_APPS = 250;

/** Calls `work` with 0 … count-1, so many at once. */
export async function inParallel(
  workers: number,
  count: number,
  work: (index: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  await Promise.all(
    Array.from({ length: workers }, async () => {
      while (next < count) await work(next++);
    }),
  );
}

/** Writes a second of the operator's own client without the operator: what an app owns, of one app, under other names. */
export async function measureBareWrites(
  kube: Kube,
  { template, prefix }: { readonly template: string; readonly prefix: string },
  signal: AbortSignal,
): Promise<number> {
  const owned: readonly Kind[] = [kinds.serviceAccount, kinds.service, kinds.deployment];
  const templates = await Promise.all(
    owned.map(async (kind) => ({
      kind,
      object: bareCopyOf(await kube.get(kind, NAMESPACE, template, signal)),
    })),
  );
  const began = performance.now();
  await inParallel(WORKERS, BARE_APPS, async (index) => {
    for (const { kind, object } of templates) {
      const metadata = { namespace: BARE_NAMESPACE, name: `${prefix}-${index}` };
      const options = { fieldManager: MANAGER, force: true };
      await kube.apply(kind, { ...object, metadata }, options, signal);
    }
    // As a status write is: the same object again, changed.
    const patch = { metadata: { annotations: { changed: "true" } } };
    await kube.patch(kinds.deployment, BARE_NAMESPACE, `${prefix}-${index}`, patch, {}, signal);
  });
  return (BARE_APPS * (templates.length + 1)) / ((performance.now() - began) / 1000);
}

/** Without what the API server gave it, and without the labels by which the operator watches it. */
function bareCopyOf(object: KubernetesObject | undefined): KubernetesObject {
  const spec: unknown = Reflect.get(object ?? {}, "spec");
  if (typeof spec !== "object" || spec === null) return {};
  const own = Object.entries(spec).filter(([name]) => !/^(clusterIP|ipFamil)/.test(name));
  return { spec: Object.fromEntries(own) } as KubernetesObject;
}
