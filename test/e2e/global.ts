import { install, uninstall } from "./harness.ts";

/** Before the first e2e file and after the last. */
export async function setup(): Promise<() => Promise<void>> {
  const platform = await install();
  return () => uninstall(platform);
}
