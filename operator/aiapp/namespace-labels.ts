import type { LabelSelector } from "../../crds/label-selector.ts";
import type { KubernetesObject } from "../kube/types.ts";

/** Labels of a namespace, and whether a selector of a cluster-scoped resource selects it. */
export type Labels = Readonly<Record<string, string>>;

export function labelsOf(namespace: KubernetesObject | undefined): Labels {
  const labels: unknown = Reflect.get(namespace?.metadata ?? {}, "labels");
  if (typeof labels !== "object" || labels === null) return {};
  return Object.fromEntries(
    Object.entries(labels).filter(
      (entry): entry is [string, string] => typeof entry[1] === "string",
    ),
  );
}

/** As Kubernetes selects by labels: every requirement must be met, and an empty selector selects everything. */
export function selects(
  { matchLabels = {}, matchExpressions = [] }: LabelSelector,
  labels: Labels,
): boolean {
  return (
    Object.entries(matchLabels).every(([key, value]) => labelOf(labels, key) === value) &&
    matchExpressions.every(({ key, operator, values = [] }) => {
      const value = labelOf(labels, key);
      switch (operator) {
        case "In":
          return value !== undefined && values.includes(value);
        case "NotIn":
          // A namespace without the label meets it, too.
          return value === undefined || !values.includes(value);
        case "Exists":
          return value !== undefined;
        case "DoesNotExist":
          return value === undefined;
      }
    })
  );
}

/** Own properties only: `constructor` may be the key of a selector. */
function labelOf(labels: Labels, key: string): string | undefined {
  return Object.hasOwn(labels, key) ? labels[key] : undefined;
}
