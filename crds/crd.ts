import { z } from "zod";

import { rootRules } from "./aiapp/aiapp.ts";
import { AIAppSpec } from "./aiapp/spec.ts";
import { AIAppStatus } from "./aiapp/status.ts";
import { AIAppReleaseFreezeSpec } from "./freeze.ts";
import {
  FREEZE_KIND,
  FREEZE_PLURAL,
  GROUP,
  KIND,
  PLURAL,
  POLICY_KIND,
  POLICY_PLURAL,
  VERSION,
} from "./names.ts";
import { AIAppSourcePolicySpec } from "./policy.ts";

/** A node of an OpenAPI v3 schema. */
type Schema = Record<string, unknown>;

const MAX_INT32 = 2 ** 31 - 1;
const MIN_INT32 = -(2 ** 31);

function isSchema(value: unknown): value is Schema {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function mapValues(value: unknown, change: (schema: Schema) => Schema): unknown {
  if (!isSchema(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, child]) => [key, isSchema(child) ? change(child) : child]),
  );
}

/**
 * What zod writes, as Kubernetes wants it: structural, without the keywords that it refuses. Integers carry a format, and
 * `x-kubernetes-int-or-string` stands for the union of both (its value rules stay beside it).
 */
function structural(schema: Schema): Schema {
  const { $schema: _, propertyNames: __, anyOf, additionalProperties, ...rest } = schema;
  const result: Schema = { ...rest };
  if (result["x-kubernetes-int-or-string"] === true) {
    const text = Array.isArray(anyOf) ? anyOf.find((one) => one.type === "string") : undefined;
    if (isSchema(text) && text["maxLength"] !== undefined) result["maxLength"] = text["maxLength"];
    return result;
  }
  if (result["type"] === "integer") {
    const { minimum, maximum } = result;
    const isInt32 = typeof maximum === "number" && maximum <= MAX_INT32;
    // What the format says already need not be said in numbers.
    if (
      typeof minimum === "number" &&
      (minimum === Number.MIN_SAFE_INTEGER || minimum === MIN_INT32)
    )
      delete result["minimum"];
    if (maximum === Number.MAX_SAFE_INTEGER || maximum === MAX_INT32) delete result["maximum"];
    result["format"] = isInt32 ? "int32" : "int64";
  }
  if (isSchema(result["items"])) result["items"] = structural(result["items"]);
  if ("properties" in result) result["properties"] = mapValues(result["properties"], structural);
  // Of a loose object nothing is known: the field says so itself. A closed one is pruned by the API server.
  if (isSchema(additionalProperties) && Object.keys(additionalProperties).length > 0)
    result["additionalProperties"] = structural(additionalProperties);
  return result;
}

function openApi(schema: z.ZodType): Schema {
  return structural(z.toJSONSchema(schema, { target: "openapi-3.0", io: "input" }));
}

interface Resource {
  readonly names: { readonly kind: string; readonly plural: string } & Schema;
  readonly scope: "Namespaced" | "Cluster";
  readonly columns: readonly Schema[];
  readonly subresources?: Schema;
  /** What the schema of the whole object adds to apiVersion, kind and metadata. */
  readonly description: string;
  readonly properties: Schema;
  readonly rules?: readonly unknown[];
}

function definition(resource: Resource): Schema {
  const { names, scope, columns, subresources, description, properties, rules } = resource;
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${names.plural}.${GROUP}` },
    spec: {
      group: GROUP,
      names,
      scope,
      versions: [
        {
          name: VERSION,
          served: true,
          storage: true,
          additionalPrinterColumns: columns,
          ...(subresources !== undefined && { subresources }),
          schema: {
            openAPIV3Schema: {
              description,
              type: "object",
              required: ["spec"],
              properties: {
                apiVersion: { type: "string" },
                kind: { type: "string" },
                metadata: { type: "object" },
                ...properties,
              },
              ...(rules !== undefined && { "x-kubernetes-validations": rules }),
            },
          },
        },
      ],
    },
  };
}

const READY = "@.type=='Ready'";

const columns = [
  { name: "Ready", type: "string", jsonPath: `.status.conditions[?(${READY})].status` },
  { name: "Image Tag", type: "string", jsonPath: ".status.current.imageTag" },
  { name: "Model", type: "string", jsonPath: ".status.current.modelVersion" },
  { name: "Status", type: "string", jsonPath: `.status.conditions[?(${READY})].reason` },
  {
    name: "Release",
    type: "string",
    jsonPath: ".status.conditions[?(@.type=='Released')].reason",
    description: "How far the newest pair is: Released, the phase that it is in, or why it failed.",
  },
  { name: "URL", type: "string", jsonPath: ".status.url" },
  {
    name: "Candidate",
    type: "string",
    priority: 1,
    jsonPath: ".status.candidate.modelVersion",
    description: "The model version that is being rolled out.",
  },
  {
    name: "Sources",
    type: "string",
    priority: 1,
    jsonPath: ".status.conditions[?(@.type=='SourcesReady')].reason",
    description: "Polled while the registry and the model store respond, or why one does not.",
  },
  { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp" },
] as const;

/** The CustomResourceDefinition of AIApp, made from the zod schema that the operator reads with. */
export function aiAppDefinition(): Schema {
  return definition({
    names: {
      kind: KIND,
      listKind: `${KIND}List`,
      plural: PLURAL,
      singular: "aiapp",
      shortNames: ["aia"],
      categories: ["all"],
    },
    scope: "Namespaced",
    columns,
    subresources: {
      status: {},
      scale: {
        specReplicasPath: ".spec.replicas",
        statusReplicasPath: ".status.replicas",
        labelSelectorPath: ".status.selector",
      },
    },
    description:
      "AIApp names a code image and a model version. The operator follows both and rolls out each new pair.",
    properties: {
      spec: openApi(AIAppSpec),
      // Tools that wait for a status know from -1 that no controller has observed it yet.
      status: { ...openApi(AIAppStatus), default: { observedGeneration: -1 } },
    },
    rules: rootRules,
  });
}

/** Strings, not dates: kubectl shows a date as an age, and one in the future as invalid. */
const freezeColumns = [
  { name: "From", type: "string", jsonPath: ".spec.from" },
  { name: "Until", type: "string", jsonPath: ".spec.until" },
  { name: "Schedule", type: "string", jsonPath: ".spec.schedule" },
  { name: "Duration", type: "string", jsonPath: ".spec.duration" },
  { name: "Reason", type: "string", jsonPath: ".spec.reason" },
  { name: "Time zone", type: "string", priority: 1, jsonPath: ".spec.timeZone" },
  {
    name: "Namespaces",
    type: "string",
    priority: 1,
    jsonPath: ".spec.namespaceSelector",
    description: "The labels of the namespaces that are frozen. All namespaces when it is empty.",
  },
  { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp" },
] as const;

/** The CustomResourceDefinition of AIAppReleaseFreeze. Cluster-scoped: a tenant cannot remove the freeze of a cluster. */
export function freezeDefinition(): Schema {
  return definition({
    names: {
      kind: FREEZE_KIND,
      listKind: `${FREEZE_KIND}List`,
      plural: FREEZE_PLURAL,
      singular: "aiappreleasefreeze",
      shortNames: ["aiafreeze"],
    },
    scope: "Cluster",
    columns: freezeColumns,
    description:
      "AIAppReleaseFreeze names a time in which no release of an AIApp begins, and the namespaces that it holds for. A release that has begun is finished.",
    properties: { spec: openApi(AIAppReleaseFreezeSpec) },
  });
}

const policyColumns = [
  { name: "Images", type: "string", jsonPath: ".spec.images" },
  { name: "Stores", type: "string", jsonPath: ".spec.stores" },
  {
    name: "Namespaces",
    type: "string",
    jsonPath: ".spec.namespaceSelector",
    description: "The labels of the namespaces that it is for. All namespaces when it is empty.",
  },
  { name: "Hosts", type: "string", priority: 1, jsonPath: ".spec.hosts" },
  {
    name: "Source ranges",
    type: "string",
    priority: 1,
    jsonPath: ".spec.loadBalancerSourceRanges",
  },
  {
    name: "Service accounts",
    type: "string",
    priority: 1,
    jsonPath: ".spec.serviceAccountNames",
  },
  { name: "Min interval", type: "string", priority: 1, jsonPath: ".spec.minInterval" },
  { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp" },
] as const;

/** The CustomResourceDefinition of AIAppSourcePolicy. Cluster-scoped: a tenant cannot allow itself anything. */
export function policyDefinition(): Schema {
  return definition({
    names: {
      kind: POLICY_KIND,
      listKind: `${POLICY_KIND}List`,
      plural: POLICY_PLURAL,
      singular: "aiappsourcepolicy",
      shortNames: ["aiapolicy"],
    },
    scope: "Cluster",
    columns: policyColumns,
    description:
      "AIAppSourcePolicy names what the AIApps of some namespaces may use: images, stores, DNS names, source ranges, ServiceAccounts and intervals. Once one exists, AIApps may use only what some policy allows.",
    properties: { spec: openApi(AIAppSourcePolicySpec) },
  });
}
