import type { FastifyInstance } from "fastify";

import type { RouteParts } from "../parts.ts";

/** `GET /`: whether it serves, and what. */
export function homeRoute(app: FastifyInstance, parts: RouteParts, done: () => void): void {
  const { name: model, version } = parts.config.model;
  app.get("/", () => ({ status: parts.health().ready ? "ready" : "loading", model, version }));
  done();
}
