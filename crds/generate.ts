import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";

import { stringify } from "yaml";

import { customResourceDefinition } from "./crd.ts";

/** `npm run generate`: writes the CRD as YAML, for `kubectl apply` and for the chart. A test holds both to the schema. */
const root = join(import.meta.dirname, "..");

export const generatedFiles = [
  join(root, "crds/generated/aiapps.aiapp.dev.yaml"),
  join(root, "charts/aiapp-operator/files/aiapps.aiapp.dev.yaml"),
] as const;

export function crdYaml(): string {
  const note = "# Generated from crds/aiapp.ts by `npm run generate`. Do not edit.\n";
  return (
    note + stringify(customResourceDefinition(), { lineWidth: 0, aliasDuplicateObjects: false })
  );
}

if (import.meta.main) {
  for (const file of generatedFiles) {
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, crdYaml());
  }
}
