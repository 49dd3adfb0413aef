import { promisify } from "node:util";
import { constants, deflate, gzip } from "node:zlib";

import type { FastifyReply, FastifyRequest } from "fastify";

const encoders = { gzip: promisify(gzip), deflate: promisify(deflate) } as const;
type Encoding = keyof typeof encoders;

/** Smaller ones take more time than they save. */
const MIN_BYTES = 1024;

/** The body, compressed where the client accepts it; sets the headers that say so. */
export async function compress(
  request: FastifyRequest,
  reply: FastifyReply,
  body: Buffer,
): Promise<Buffer> {
  const vary = reply.getHeader("vary");
  reply.header("vary", vary === undefined ? "accept-encoding" : `${String(vary)}, accept-encoding`);
  const encoding = acceptedEncoding(request.headers["accept-encoding"]);
  if (encoding === undefined || body.length < MIN_BYTES) return body;
  reply.header("content-encoding", encoding);
  return encoders[encoding](body, { level: constants.Z_BEST_SPEED });
}

/** The first of ours that the header Accept-Encoding names, unless with a quality of 0. */
export function acceptedEncoding(header: string | string[] | undefined): Encoding | undefined {
  if (header === undefined) return undefined;
  for (const part of String(header).toLowerCase().split(",")) {
    const [name = "", ...parameters] = part.split(";").map((text) => text.trim());
    const isRefused = parameters.some((text) => /^q=0(\.0*)?$/.test(text));
    if (!isRefused && (name === "gzip" || name === "deflate")) return name;
  }
  return undefined;
}
