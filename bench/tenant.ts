import {
  connectPlatform,
  createTenant,
  installOperator,
  type Platform,
} from "../test/support/platform.ts";

/** The namespace that benchmarks measure in: empty at the beginning, gone at the end. */
export const NAMESPACE = "bench";

export async function withTenant<T>(measure: (platform: Platform) => Promise<T>): Promise<T> {
  const platform = connectPlatform(process.env);
  const remove = ["delete", "namespace", NAMESPACE, "--timeout=180s"];
  await platform.kubectl([...remove, "--ignore-not-found"]);
  await createTenant(platform, NAMESPACE);
  await installOperator(platform, { tenants: [NAMESPACE] });
  const measured = await measure(platform);
  await platform.kubectl(remove);
  return measured;
}
