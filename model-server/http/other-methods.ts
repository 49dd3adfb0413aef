import type { FastifyInstance } from "fastify";

import { ServerError } from "../errors.ts";

const METHODS = ["DELETE", "GET", "HEAD", "PATCH", "POST", "PUT"] as const;

/** Answers 405 for the methods that a path has no route for. Call it before the routes are registered. */
export function rejectOtherMethods(app: FastifyInstance): (app: FastifyInstance) => void {
  const allowed = new Map<string, Set<string>>();
  app.addHook("onRoute", ({ url, method }) => {
    const methods = allowed.get(url) ?? new Set<string>();
    for (const one of [method].flat()) methods.add(one);
    allowed.set(url, methods);
  });
  return (last) => {
    for (const [url, methods] of allowed) {
      const allow = [...methods].toSorted().join(", ");
      last.route({
        method: METHODS.filter((method) => !methods.has(method)),
        url,
        handler: (request, reply) => {
          reply.header("allow", allow);
          throw new ServerError(
            "METHOD_NOT_ALLOWED",
            `there is no ${request.method} ${request.url.slice(0, 200)}: send ${allow}`,
          );
        },
      });
    }
  };
}
