import { createHmac, randomBytes } from "node:crypto";
import { text } from "node:stream/consumers";

import { misbehave, type Faults } from "./faults.ts";
import { listenTls, type Listening } from "./forward.ts";
import type { Certificate } from "./tls.ts";

/** A stand-in for Entra ID: issues a token for a federated credential (a signed assertion of the cluster). */
export interface Entra {
  readonly port: number;
  readonly isToken: (token: string) => boolean;
  /** How many tokens it issued, by the subject of the assertion. */
  readonly grants: () => readonly { readonly subject: string; readonly scope: string }[];
  readonly close: () => Promise<void>;
}

export async function startEntra(options: {
  readonly listening: Listening;
  readonly certificate: Certificate;
  /** The subjects (`system:serviceaccount:<namespace>:<name>`) with a federated credential. */
  readonly trusts: (subject: string) => boolean;
  readonly faults?: Faults;
}): Promise<Entra> {
  const secret = randomBytes(32);
  const given = new Set<string>();
  const grants: { subject: string; scope: string }[] = [];
  const listening = await listenTls(options.listening, options.certificate, (request, response) => {
    const action = options.faults?.take("entra", request.method ?? "GET", request.url ?? "/");
    if (misbehave(action, request, response)) return;
    const answer = (status: number, body: unknown): void => {
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
    };
    const host = `https://${request.headers.host}`;
    const tenant = /^\/([^/]+)\//.exec(request.url ?? "")?.[1] ?? "";
    if (request.method === "GET") {
      answer(200, {
        issuer: `${host}/${tenant}/v2.0`,
        authorization_endpoint: `${host}/${tenant}/oauth2/v2.0/authorize`,
        token_endpoint: `${host}/${tenant}/oauth2/v2.0/token`,
        jwks_uri: `${host}/${tenant}/discovery/v2.0/keys`,
      });
      return;
    }
    void text(request).then((body) => {
      const form = new URLSearchParams(body);
      const payload = (form.get("client_assertion") ?? "").split(".")[1] ?? "";
      const claims: unknown = JSON.parse(
        Buffer.from(payload, "base64url").toString("utf8") || "{}",
      );
      const subject = String(Reflect.get(Object(claims), "sub"));
      if (!options.trusts(subject)) {
        answer(401, {
          error: "invalid_client",
          error_description: `AADSTS70021: no credential for ${subject}`,
        });
        return;
      }
      const token = createHmac("sha256", secret).update(String(grants.length)).digest("base64url");
      given.add(token);
      grants.push({ subject, scope: form.get("scope") ?? "" });
      answer(200, {
        token_type: "Bearer",
        expires_in: 3600,
        ext_expires_in: 3600,
        access_token: token,
      });
    });
  });
  return {
    port: listening.port,
    isToken: (token) => given.has(token),
    grants: () => grants,
    close: listening.close,
  };
}
