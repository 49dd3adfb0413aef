import { join } from "node:path";

import { eventually } from "../cluster/process.ts";
import type { ApiServer } from "./apiserver.ts";

const folder = join(import.meta.dirname, "..", "..", "crds", "generated");

/**
 * Installs CustomResourceDefinitions of the project, by their names (`aiapps.aiapp.dev`), and returns once the API server
 * serves them.
 */
export async function installCrds(
  { kubectl }: Pick<ApiServer, "kubectl">,
  names: readonly string[] = ["aiapps.aiapp.dev"],
): Promise<void> {
  for (const name of names) {
    await kubectl(["apply", "--server-side", "--filename", join(folder, `${name}.yaml`)]);
    // `kubectl wait` fails when there are no conditions yet.
    const established = '{.status.conditions[?(@.type=="Established")].status}';
    await eventually(`${name} is established`, 30_000, async () => {
      const status = await kubectl(["get", "crd", name, "--output", `jsonpath=${established}`]);
      return status === "True";
    });
  }
}
