import type { FastifyInstance } from "fastify";

import type { RouteParts } from "../parts.ts";
import { sendPage } from "./page.ts";

/** `GET /`: whether it serves, and what; the page for browsers. */
export function homeRoute(app: FastifyInstance, parts: RouteParts, done: () => void): void {
  const { hasPage, model } = parts.config;
  app.get("/", { config: { isOpen: true } }, (request, reply) => {
    reply.header("vary", "accept");
    // Browsers name HTML in so many words; others take anything.
    if (hasPage && /\btext\/html\b/i.test(request.headers.accept ?? ""))
      return sendPage(request, reply);
    const status = parts.health().ready ? "ready" : "loading";
    return { status, model: model.name, version: model.version };
  });
  done();
}
