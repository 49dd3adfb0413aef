import { z } from "zod";

import { cel, type CelRule } from "../cel.ts";
import { GROUP, labels } from "../names.ts";

/** `spec.labels` and `spec.annotations`: what policies and people want to find on all that an AIApp owns. */

const MAX_ENTRIES = 32;

/** A qualified name: an optional DNS subdomain, then at most 63 characters. */
const isKey = String.raw`self.all(key, size(key) <= 317 && key.matches('^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9]$'))`;

function keys(field: string): CelRule {
  return {
    rule: isKey,
    message: `the keys of ${field} must be names such as team or example.com/team`,
  };
}

/** The operator's own keys, and those by which Kubernetes finds the pods of a Deployment and of a Job. */
function notTaken(field: string, taken: readonly string[], prefixes: readonly string[]): CelRule {
  const starts = prefixes.map((prefix) => `key.startsWith('${prefix}/')`).join(" || ");
  const names = taken.map((name) => `'${name}'`).join(", ");
  return {
    rule: `!self.exists(key, key in [${names}] || key.startsWith('${GROUP}/') || key.contains('.${GROUP}/') || ${starts})`,
    message: `${field} must not have keys that the operator or Kubernetes sets: ${taken.join(", ")}, ${[GROUP, ...prefixes].map((prefix) => `${prefix}/…`).join(", ")}`,
  };
}

const labelKeys = [
  labels.name,
  labels.managedBy,
  "pod-template-hash",
  "job-name",
  "controller-uid",
] as const;

export const Labels = z
  .record(
    z.string(),
    z
      .string()
      .max(63)
      .regex(/^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$/),
  )
  .optional()
  .meta({
    maxProperties: MAX_ENTRIES,
    ...cel(keys("labels"), notTaken("labels", labelKeys, ["batch.kubernetes.io"])),
  })
  .describe(
    "Labels on every object that the operator makes for the app, and on the pods of releases from now on. Pods that run are not restarted for them.",
  );

export const Annotations = z
  .record(z.string(), z.string().max(4096))
  .optional()
  .meta({
    maxProperties: MAX_ENTRIES,
    ...cel(
      keys("annotations"),
      notTaken(
        "annotations",
        ["kubectl.kubernetes.io/last-applied-configuration"],
        ["deployment.kubernetes.io"],
      ),
    ),
  })
  .describe(
    "Annotations on every object that the operator makes for the app, and on the pods of releases from now on. Pods that run are not restarted for them.",
  );
