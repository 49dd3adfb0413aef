import {
  connectPlatform,
  createTenant,
  installOperator,
  type Platform,
} from "../test/support/platform.ts";
import { removeNamespaces } from "../test/support/trial.ts";

/** The namespace that benchmarks measure in: empty at the beginning, gone at the end. */
export const NAMESPACE = "bench";

export async function withTenant<T>(measure: (platform: Platform) => Promise<T>): Promise<T> {
  const platform = connectPlatform(process.env);
  await removeNamespaces(platform.kubectl, [NAMESPACE]);
  await createTenant(platform, NAMESPACE);
  await installOperator(platform, { tenants: [NAMESPACE] });
  const measured = await measure(platform);
  await removeNamespaces(platform.kubectl, [NAMESPACE]);
  return measured;
}
