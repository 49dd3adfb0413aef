import { z } from "zod";

import { parseJson } from "./response.ts";

/** A registry token and how long it is valid (distribution's "Token Authentication Specification"). */
export interface RegistryToken {
  readonly token: string;
  /** Milliseconds, from 40 seconds to an hour: shorter than the token's own validity, to allow for the next request. */
  readonly usableMs: number;
}

/** The validity of a token that does not say, and the shortest that the specification allows. */
const MIN_VALID_SECONDS = 60;
const MAX_VALID_SECONDS = 3600;
const MARGIN_SECONDS = 20;

const TokenResponse = z.object({
  token: z.string().optional(),
  access_token: z.string().optional(),
  expires_in: z.number().optional(),
});

const Claims = z.object({ iat: z.number(), exp: z.number() });

/** Undefined when the body holds no token. */
export function parseToken(body: string): RegistryToken | undefined {
  const { data } = TokenResponse.safeParse(parseJson(body));
  const token = data?.token ?? data?.access_token;
  if (token === undefined) return undefined;
  const stated = data?.expires_in ?? validityOf(token) ?? MIN_VALID_SECONDS;
  const seconds = Math.min(Math.max(stated, MIN_VALID_SECONDS), MAX_VALID_SECONDS);
  return { token, usableMs: (seconds - MARGIN_SECONDS) * 1000 };
}

/** ACR states the validity only inside the token, a JWT. Both times are the registry's: no clock of ours matters. */
function validityOf(token: string): number | undefined {
  const payload = Buffer.from(token.split(".")[1] ?? "", "base64url").toString("utf8");
  const claims = Claims.safeParse(parseJson(payload));
  return claims.success ? claims.data.exp - claims.data.iat : undefined;
}
