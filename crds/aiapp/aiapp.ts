import { z } from "zod";

import { type CelRule } from "../cel.ts";
import { API_VERSION, KIND, MAX_NAME_LENGTH } from "../names.ts";
import { AIAppSpec } from "./spec.ts";
import { AIAppStatus } from "./status.ts";

/**
 * The AIApp resource: the zod source of the CRD (`generate.ts`) and of what the operator reads.
 * What the API server can refuse is refused here, by schema or CEL, with a message that says how to fix it.
 * CEL rules ride in `.meta()` beside the field that they guard.
 */

/** What the API server gives us of `metadata`; the rest passes through. */
export const ObjectMeta = z.looseObject({
  name: z.string(),
  namespace: z.string(),
  uid: z.string(),
  resourceVersion: z.string().optional(),
  generation: z.number().int(),
  deletionTimestamp: z.string().optional(),
  annotations: z.record(z.string(), z.string()).optional(),
});

/** An AIApp as read from the API server. Every field of it is untrusted. */
export const AIApp = z.object({
  apiVersion: z.literal(API_VERSION),
  kind: z.literal(KIND),
  metadata: ObjectMeta,
  spec: AIAppSpec,
  status: AIAppStatus.optional(),
});
export type AIApp = z.infer<typeof AIApp>;

/** Rules over the whole object: names are too long or ambiguous for what is derived from them. */
export const rootRules: readonly CelRule[] = [
  {
    rule: `size(self.metadata.name) <= ${MAX_NAME_LENGTH}`,
    message: `name must have at most ${MAX_NAME_LENGTH} characters: objects named <name>-<release id> are derived from it`,
  },
  {
    rule: "self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
    message:
      "name must be lower-case letters, digits and '-', begin with a letter and hold no dot: a Service is named after it",
  },
  {
    rule: "!self.metadata.name.endsWith('-candidate') && !self.metadata.name.endsWith('-verify')",
    message: "name must not end in -candidate or -verify: those are names of another app's objects",
  },
];
