import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";

import { stringify } from "yaml";
import { z } from "zod";

import { aiAppDefinition, freezeDefinition, policyDefinition } from "./crd.ts";
import { FREEZE_PLURAL, GROUP, PLURAL, POLICY_PLURAL } from "./names.ts";
import { ReleaseEvent } from "./notification.ts";

/**
 * `npm run generate`: writes the CRDs as YAML, for `kubectl apply` and for the chart, and the JSON Schema of what webhooks
 * get. A test holds them to the schema.
 */
const root = join(import.meta.dirname, "..");

const resources = [
  { source: "crds/aiapp/spec.ts", plural: PLURAL, definition: aiAppDefinition },
  { source: "crds/freeze.ts", plural: FREEZE_PLURAL, definition: freezeDefinition },
  { source: "crds/policy.ts", plural: POLICY_PLURAL, definition: policyDefinition },
] as const;

const folders = ["crds/generated", "charts/aiapp-operator/files"] as const;

/** Kubernetes reads YAML 1.1, in which Off, On, Yes and No are booleans unless they are quoted. */
const yamlOptions = { lineWidth: 0, aliasDuplicateObjects: false, compat: "yaml-1.1" } as const;

/** Each generated file: its path from the root of the repository, and what it holds. */
export function generatedFiles(): readonly { readonly path: string; readonly text: string }[] {
  const definitions = resources.flatMap(({ source, plural, definition }) => {
    const note = `# Generated from ${source} by \`npm run generate\`. Do not edit.\n`;
    const text = note + stringify(definition(), yamlOptions);
    return folders.map((folder) => ({ path: `${folder}/${plural}.${GROUP}.yaml`, text }));
  });
  const text = `${JSON.stringify(z.toJSONSchema(ReleaseEvent, { io: "input" }), undefined, 2)}\n`;
  return [...definitions, { path: "crds/generated/release-event.schema.json", text }];
}

if (import.meta.main) {
  for (const { path, text } of generatedFiles()) {
    const file = join(root, path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text);
  }
}
