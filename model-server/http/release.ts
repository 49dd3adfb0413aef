import type { onRequestHookHandler } from "fastify";

import type { Config } from "../config.ts";

/** Headers set before the body is read: also an error names the release that answers. */
export function nameRelease({ release, model }: Config): onRequestHookHandler {
  return (_, reply, next) => {
    reply.header("aiapp-release", release).header("aiapp-model-version", model.version);
    next();
  };
}
