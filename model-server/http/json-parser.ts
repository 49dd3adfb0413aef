import type { FastifyInstance, FastifyRequest } from "fastify";

import { checkJson } from "../protocol/json.ts";

export type JsonParser = (request: FastifyRequest, body: Buffer) => unknown;

/** Fastify's own parser, which refuses poisoned prototypes, behind a count of what the JSON would become. */
export function createJsonParser(app: FastifyInstance): JsonParser {
  const parser = app.getDefaultJsonParser("error", "error");
  return (request, body) => {
    checkJson(body, "the body");
    let value: unknown;
    let failure: Error | null = null;
    void parser(request, body.toString("utf8"), (error, parsed) => {
      failure = error;
      value = parsed;
    });
    if (failure !== null) throw failure;
    return value;
  };
}
