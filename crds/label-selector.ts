import { z } from "zod";

import { cel } from "./cel.ts";

const LabelValue = z
  .string()
  .max(63)
  .regex(/^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$/);

const MatchExpression = z
  .object({
    key: z
      .string()
      .min(1)
      .max(317)
      .regex(/^([a-z0-9]([-a-z0-9.]*[a-z0-9])?\/)?([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/),
    operator: z.enum(["In", "NotIn", "Exists", "DoesNotExist"]),
    values: z.array(LabelValue).max(64).optional().meta({ "x-kubernetes-list-type": "atomic" }),
  })
  .meta(
    cel(
      {
        rule: "!(self.operator in ['In', 'NotIn']) || (has(self.values) && size(self.values) > 0)",
        message: "In and NotIn compare with values: name at least one",
        fieldPath: ".values",
      },
      {
        rule: "self.operator in ['In', 'NotIn'] || !has(self.values) || size(self.values) == 0",
        message: "Exists and DoesNotExist take no values: remove them, or write In or NotIn",
        fieldPath: ".values",
      },
    ),
  );

/** A Kubernetes label selector, bounded. */
export const LabelSelector = z.object({
  matchLabels: z.record(z.string(), LabelValue).optional().meta({ maxProperties: 16 }),
  matchExpressions: z
    .array(MatchExpression)
    .max(16)
    .optional()
    .meta({ "x-kubernetes-list-type": "atomic" }),
});
export type LabelSelector = z.infer<typeof LabelSelector>;
