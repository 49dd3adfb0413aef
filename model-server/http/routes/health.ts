import type { FastifyInstance } from "fastify";

import type { RouteParts } from "../parts.ts";

/** The probes: 503 says no. */
export function healthRoutes(app: FastifyInstance, parts: RouteParts, done: () => void): void {
  const options = { config: { isProbe: true } };
  app.get("/v2/health/live", options, (_, reply) => {
    const { live, reason } = parts.health();
    return reply.code(live ? 200 : 503).send({ live, ...(!live && { reason }) });
  });
  app.get("/v2/health/ready", options, (_, reply) => {
    const { ready, reason } = parts.health();
    return reply.code(ready ? 200 : 503).send({ ready, ...(!ready && { reason }) });
  });
  done();
}
