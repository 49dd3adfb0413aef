import { createHmac, randomBytes } from "node:crypto";

import { z } from "zod";

/** Tokens as ACR issues them: a refresh token identifies the client, an access token has its scope. Both are JWTs. */
const Claims = z.object({
  kind: z.enum(["refresh", "access"]),
  who: z.string(),
  scopes: z.array(z.string()),
  iat: z.number(),
  exp: z.number(),
});
export type Claims = z.infer<typeof Claims>;

export interface Tokens {
  readonly issue: (kind: Claims["kind"], who: string, scopes: readonly string[]) => string;
  /** The claims of a token that this stand-in issued and that has not expired. */
  readonly read: (kind: Claims["kind"], token: string) => Claims | undefined;
}

const LIFETIME_SECONDS = { refresh: 3 * 3600, access: 75 * 60 } as const;

const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");

export function createTokens(): Tokens {
  const secret = randomBytes(32);
  const sign = (text: string): string =>
    createHmac("sha256", secret).update(text).digest("base64url");
  return {
    issue: (kind, who, scopes) => {
      const iat = Math.trunc(Date.now() / 1000);
      const claims = { kind, who, scopes, iat, exp: iat + LIFETIME_SECONDS[kind] };
      const text = `${encode({ alg: "HS256", typ: "JWT" })}.${encode(claims)}`;
      return `${text}.${sign(text)}`;
    },
    read: (kind, token) => {
      const [header = "", payload = "", signature = ""] = token.split(".");
      if (sign(`${header}.${payload}`) !== signature) return undefined;
      const claims = Claims.parse(JSON.parse(Buffer.from(payload, "base64url").toString("utf8")));
      return claims.kind === kind && claims.exp * 1000 > Date.now() ? claims : undefined;
    },
  };
}
