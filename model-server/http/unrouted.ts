import type { FastifyInstance } from "fastify";

import { ServerError } from "../errors.ts";

/**
 * Answers requests that no route takes, of any method that Node.js parses: 405 where the path has others, and 404 where it
 * has none. Call it before the routes are registered.
 */
export function answerUnrouted(app: FastifyInstance): void {
  const methods = new Set<string>();
  app.addHook("onRoute", ({ url, method }) => {
    // The preflights of every path: see `allowOrigins`.
    if (url === "*") return;
    for (const one of [method].flat()) methods.add(one);
  });
  app.setNotFoundHandler(({ method, url }, reply) => {
    const allow = [...methods]
      .filter((other) => app.findRoute({ method: other, url }) !== null)
      .toSorted()
      .join(", ");
    if (allow === "")
      throw new ServerError(
        "NOT_FOUND",
        `there is no ${method} ${url.slice(0, 200)}: POST /score scores, GET /version shows what serves`,
      );
    reply.header("allow", allow);
    // Without the URL: an answer to TRACE repeats nothing that was sent.
    throw new ServerError("METHOD_NOT_ALLOWED", `this path has no ${method}: send ${allow}`);
  });
}
