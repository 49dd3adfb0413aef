import type { FastifyInstance } from "fastify";

import type { Model } from "../../inference/model.ts";
import { metadataOf, requestOfZeros } from "../../protocol/description.ts";
import type { RouteParts } from "../parts.ts";

/** `GET /openapi.json`: this interface, for programs. Made at the first request, and again once the model is loaded. */
export function openApiRoute(app: FastifyInstance, parts: RouteParts, done: () => void): void {
  const { config, versions } = parts;
  let made: { readonly document: object; readonly of: Model | undefined } | undefined;
  app.get("/openapi.json", { config: { isOpen: true } }, async () => {
    const { createOpenApi } = await import("../openapi.ts");
    const model = parts.model();
    if (made === undefined || made.of !== model) {
      const example = model && requestOfZeros(metadataOf(config.model, model.signature));
      made = {
        document: createOpenApi(versions["server"] ?? "", config.model, example),
        of: model,
      };
    }
    return made.document;
  });
  done();
}
