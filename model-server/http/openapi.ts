import { z } from "zod";

import { errors, type ErrorCode } from "../errors.ts";
import { InferBody } from "../protocol/infer.ts";
import type { ModelName } from "../protocol/model-name.ts";
import { ScoreBody, ScoreQuery } from "../protocol/score.ts";
import { IndexRequest } from "./routes/models.ts";

/** The interface as OpenAPI 3.1. Requests are described by the schemas that check them. */

/** What a client may send. */
function schemaOf(schema: z.ZodType): object {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io: "input" });
  return rest;
}

const BYTES = { type: "string", contentMediaType: "application/octet-stream" } as const;
const imageTypes = ["image/png", "image/jpeg", "image/webp", "application/octet-stream"] as const;

type Operation = Readonly<Record<string, unknown>>;

function ref(name: string): object {
  return { $ref: `#/components/schemas/${name}` };
}

/** The error codes of requests by status, as one response each. */
function errorResponses(codes: readonly ErrorCode[]): Readonly<Record<string, object>> {
  const byStatus = Map.groupBy(codes, (code) => errors[code].http);
  return Object.fromEntries(
    [...byStatus].map(([status, codes]) => [
      String(status),
      {
        description: codes.map((code) => `${code}: ${errors[code].summary}`).join("; "),
        content: { "application/json": { schema: ref("Error") } },
        ...(status === 503 && {
          headers: { "Retry-After": { description: "seconds", schema: { type: "integer" } } },
        }),
      },
    ]),
  );
}

/** Of everything that runs the model. */
const scoring = [
  "REQUEST_INVALID",
  "UNAUTHENTICATED",
  "IMAGE_INVALID",
  "NOT_FOUND",
  "BODY_TOO_LARGE",
  "UNSUPPORTED_TYPE",
  "UNSUPPORTED",
  "INTERNAL",
  "OVERLOADED",
  "NOT_READY",
  "TIMED_OUT",
  "WORKER_LOST",
  "OUT_OF_MEMORY",
] as const satisfies readonly ErrorCode[];

const answeredBy = {
  "AIApp-Release": { description: "the release that answered", schema: { type: "string" } },
  "AIApp-Model-Version": { description: "its model version", schema: { type: "string" } },
} as const;

function json(description: string, schema: object, headers?: object): object {
  return { description, content: { "application/json": { schema } }, ...(headers && { headers }) };
}

/** A read that answers 200, and these errors. */
function get(
  summary: string,
  schema: object,
  codes: readonly ErrorCode[] = [],
  parameters: readonly object[] = [],
): Operation {
  return {
    summary,
    ...(parameters.length > 0 && { parameters }),
    responses: { "200": json("OK", schema), ...errorResponses(codes) },
  };
}

/** A part of a path that has one value: the server has one model. */
function pathParameter(name: string, value: string): object {
  return { name, in: "path", required: true, schema: { type: "string", enum: [value] } };
}

const score: Operation = {
  summary: "Score images or numbers",
  parameters: [
    {
      name: "top",
      in: "query",
      description: "how many classes a row gets",
      schema: schemaOf(ScoreQuery.shape.top),
    },
    {
      name: "format",
      in: "query",
      description:
        "of the answer: the tutorial's nested arrays, or objects whose fields have names",
      schema: schemaOf(ScoreQuery.shape.format),
    },
  ],
  requestBody: {
    required: true,
    content: {
      "application/json": { schema: ref("ScoreRequest") },
      "multipart/form-data": {
        schema: { type: "object", additionalProperties: { type: "string", format: "binary" } },
      },
      ...Object.fromEntries(imageTypes.map((type) => [type, { schema: BYTES }])),
    },
  },
  responses: {
    "200": json(
      "classes or values of each row",
      { anyOf: [ref("ScoreResponse"), ref("PlainScoreResponse")] },
      answeredBy,
    ),
    ...errorResponses(scoring),
  },
};

const HEADER_LENGTH = {
  name: "Inference-Header-Content-Length",
  in: "header",
  description: "the bytes of JSON before the raw bytes of the binary extension",
  schema: { type: "integer", minimum: 0 },
} as const;

/** @param example of a request */
function infer(parameters: readonly object[], example: object | undefined): Operation {
  return {
    summary: "Run the model",
    parameters: [...parameters, HEADER_LENGTH],
    requestBody: {
      required: true,
      content: {
        "application/json": { schema: ref("InferRequest"), ...(example && { example }) },
        "application/octet-stream": { schema: BYTES },
      },
    },
    responses: {
      "200": {
        description: "the outputs",
        headers: answeredBy,
        content: {
          "application/json": { schema: ref("InferResponse") },
          "application/octet-stream": { schema: BYTES },
        },
      },
      ...errorResponses(scoring),
    },
  };
}

/** @param codes of errors beside what it says */
function health(codes: readonly ErrorCode[] = [], parameters: readonly object[] = []): Operation {
  return {
    summary: "A probe",
    ...(parameters.length > 0 && { parameters }),
    responses: {
      "200": json("yes", { type: "object" }),
      "503": json("no, with the reason", { type: "object" }),
      ...errorResponses(codes),
    },
  };
}

/** Both forms of the path of a model. */
function modelPaths(
  model: ModelName,
  example: object | undefined,
): Readonly<Record<string, object>> {
  const name = pathParameter("name", model.name);
  const forms = [
    ["/v2/models/{name}", [name]],
    ["/v2/models/{name}/versions/{version}", [name, pathParameter("version", model.version)]],
  ] as const;
  const codes = ["NOT_FOUND", "NOT_READY"] as const;
  return Object.fromEntries(
    forms.flatMap(([path, parameters]) => [
      [path, { get: get("Inputs and outputs", ref("ModelMetadata"), codes, parameters) }],
      [`${path}/infer`, { post: infer(parameters, example) }],
      [`${path}/ready`, { get: health(["NOT_FOUND"], parameters) }],
      [
        `${path}/config`,
        { get: get("Triton's configuration", { type: "object" }, codes, parameters) },
      ],
      [`${path}/stats`, { get: get("Statistics", { type: "object" }, ["NOT_FOUND"], parameters) }],
    ]),
  );
}

const repositoryIndex: Operation = {
  summary: "The only model",
  requestBody: { content: { "application/json": { schema: schemaOf(IndexRequest) } } },
  responses: {
    "200": json("OK", { type: "array", items: { type: "object" } }),
    ...errorResponses(["REQUEST_INVALID"]),
  },
};

const text = { type: "string" } as const;
const tensors = {
  type: "array",
  items: {
    type: "object",
    required: ["name", "datatype", "shape"],
    properties: {
      name: text,
      datatype: text,
      shape: { type: "array", items: { type: "integer" } },
    },
  },
} as const;

function schemas(): Readonly<Record<string, object>> {
  return {
    Error: {
      type: "object",
      required: ["error"],
      properties: { error: { ...text, description: "what happened, and what to do" } },
    },
    ScoreRequest: schemaOf(ScoreBody),
    ScoreResponse: {
      type: "object",
      required: ["result"],
      properties: {
        result: {
          type: "array",
          prefixItems: [
            {
              type: "array",
              description: "one element a row: [class, percentage] pairs, or values",
            },
            { ...text, description: "the time that it took" },
          ],
        },
      },
    },
    PlainScoreResponse: {
      type: "object",
      required: ["model", "version", "predictions", "milliseconds"],
      properties: {
        model: text,
        version: text,
        predictions: {
          type: "array",
          items: {
            type: "array",
            description: "of a row: {label, probability} objects, or values",
          },
        },
        milliseconds: { type: "number" },
      },
    },
    InferRequest: schemaOf(InferBody),
    InferResponse: {
      type: "object",
      required: ["model_name", "outputs"],
      properties: { model_name: text, model_version: text, id: text, outputs: tensors },
    },
    ModelMetadata: {
      type: "object",
      required: ["name", "versions", "platform", "inputs", "outputs"],
      properties: {
        name: text,
        versions: { type: "array", items: text },
        platform: text,
        inputs: tensors,
        outputs: tensors,
      },
    },
  };
}

/**
 * @param version of the server
 * @param example of an inference request, where one is short
 */
export function createOpenApi(version: string, model: ModelName, example?: object): object {
  const object = { type: "object" } as const;
  return {
    openapi: "3.1.0",
    info: {
      title: "AIApp model server",
      version: version === "" ? "0" : version,
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    paths: {
      "/": { get: get("Whether it serves, and what; a page for browsers", object) },
      "/version": { get: get("Versions of server, runtime, model and release", object) },
      "/openapi.json": { get: get("This document", object) },
      "/score": { post: score },
      "/v2": { get: get("The server's name, version and extensions", object) },
      "/v2/health/live": { get: health() },
      "/v2/health/ready": { get: health() },
      "/v2/models": { get: get("The name of the only model", object) },
      "/v2/models/stats": { get: get("Statistics", object) },
      "/v2/repository/index": { post: repositoryIndex },
      ...modelPaths(model, example),
    },
    components: { schemas: schemas() },
  };
}
