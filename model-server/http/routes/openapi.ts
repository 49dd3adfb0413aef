import type { FastifyInstance } from "fastify";

import { createOpenApi } from "../openapi.ts";
import type { RouteParts } from "../parts.ts";

/** `GET /openapi.json`: this interface, for programs. Made at the first request. */
export function openApiRoute(app: FastifyInstance, parts: RouteParts, done: () => void): void {
  let document: object | undefined;
  app.get("/openapi.json", { config: { isOpen: true } }, () => {
    document ??= createOpenApi(parts.versions["server"] ?? "");
    return document;
  });
  done();
}
