import type { FastifyInstance, FastifyRequest } from "fastify";

import { REQUEST_ID } from "./request-id.ts";

const MAX_AGE_SECONDS = 600;

/** Lets pages of these origins call the server. Nothing is loaded where there are none. */
export function allowOrigins(app: FastifyInstance, origins: readonly string[]): void {
  if (origins.length === 0) return;
  const options = {
    origin: origins.includes("*") ? "*" : [...origins],
    methods: ["GET", "POST"],
    exposedHeaders: [
      "aiapp-release",
      "aiapp-model-version",
      "inference-header-content-length",
      "retry-after",
      REQUEST_ID,
    ],
    maxAge: MAX_AGE_SECONDS,
  };
  app.register(import("@fastify/cors"), {
    // Any other OPTIONS is a method that the path does not have.
    delegator: (request, done) => done(null, { ...options, preflight: isPreflight(request) }),
  });
}

function isPreflight({ headers }: FastifyRequest): boolean {
  return headers.origin !== undefined && headers["access-control-request-method"] !== undefined;
}
