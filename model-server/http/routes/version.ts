import type { FastifyInstance } from "fastify";

import type { RouteParts } from "../parts.ts";

/** `GET /version`: server, runtime, model and release. */
export function versionRoute(app: FastifyInstance, parts: RouteParts, done: () => void): void {
  const { config, versions } = parts;
  const { name, version, digest } = config.model;
  app.get("/version", () => ({
    ...versions,
    model: { name, version, digest },
    release: config.release,
    ...(config.build !== "" && { build: config.build }),
  }));
  done();
}
