import { z } from "zod";

import { AIAppSpec, AIAppStatus, rootRules } from "./aiapp.ts";
import { GROUP, KIND, PLURAL, VERSION } from "./names.ts";

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

const READY = "@.type=='Ready'";

const columns = [
  { name: "Ready", type: "string", jsonPath: `.status.conditions[?(${READY})].status` },
  { name: "Image Tag", type: "string", jsonPath: ".status.current.imageTag" },
  { name: "Model", type: "string", jsonPath: ".status.current.modelVersion" },
  { name: "Status", type: "string", jsonPath: `.status.conditions[?(${READY})].reason` },
  { name: "URL", type: "string", jsonPath: ".status.url" },
  {
    name: "Candidate",
    type: "string",
    priority: 1,
    jsonPath: ".status.candidate.modelVersion",
    description: "The model version that is being rolled out.",
  },
  {
    name: "Next check",
    type: "string",
    priority: 1,
    jsonPath: ".status.sources.model.nextCheckAt",
  },
  { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp" },
] as const;

/** The CustomResourceDefinition of AIApp, made from the zod schema that the operator reads with. */
export function customResourceDefinition(): Schema {
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${PLURAL}.${GROUP}` },
    spec: {
      group: GROUP,
      names: {
        kind: KIND,
        listKind: `${KIND}List`,
        plural: PLURAL,
        singular: "aiapp",
        shortNames: ["aia"],
        categories: ["all"],
      },
      scope: "Namespaced",
      versions: [
        {
          name: VERSION,
          served: true,
          storage: true,
          additionalPrinterColumns: columns,
          subresources: {
            status: {},
            scale: {
              specReplicasPath: ".spec.replicas",
              statusReplicasPath: ".status.replicas",
              labelSelectorPath: ".status.selector",
            },
          },
          schema: {
            openAPIV3Schema: {
              description:
                "AIApp names a code image and a model version. The operator follows both and rolls out each new pair.",
              type: "object",
              required: ["spec"],
              properties: {
                apiVersion: { type: "string" },
                kind: { type: "string" },
                metadata: { type: "object" },
                spec: openApi(AIAppSpec),
                // Tools that wait for a status know from -1 that no controller has observed it yet.
                status: { ...openApi(AIAppStatus), default: { observedGeneration: -1 } },
              },
              "x-kubernetes-validations": rootRules,
            },
          },
        },
      ],
    },
  };
}
