import { ClientAssertionCredential } from "@azure/identity";
import type { TokenCredential } from "@azure/core-auth";

import { messageOf, OperatorError } from "../errors.ts";
import type { Identity } from "./identity.ts";

/** The audience of tokens that Entra ID exchanges (workload identity federation). */
const AUDIENCE = "api://AzureADTokenExchange";

type Workload = Extract<Identity, { kind: "workload" }>;

/** Azure credentials of ServiceAccounts: a token of the ServiceAccount's own, exchanged at Entra ID. */
export interface TokenCredentials {
  readonly of: (identity: Workload) => TokenCredential;
}

const MAX_CREDENTIALS = 1000;
/** With the SDK's own retries. */
const TOKEN_TIMEOUT_MS = 15_000;

/** Entra ID gave no token: it refused, or nobody answered. */
export class NoTokenError extends Error {
  override readonly name = "NoTokenError";
  readonly refused: boolean;

  /** @param detail the same each time: Entra's own messages hold times and trace ids */
  constructor(refused: boolean, detail: string, options?: ErrorOptions) {
    super(detail, options);
    this.refused = refused;
  }

  /** For a condition: what is not read for want of a token, and what to do. */
  explain(where: string): string {
    const what = `Entra ID gave no token to read ${where} (${this.message})`;
    return this.refused
      ? `${what}: check the federated credential of the ServiceAccount`
      : `${what}: it is tried again`;
  }
}

/** A credential of the SDK's that heeds the signal, ends in time, and tells a refusal from an outage: by itself it does none. */
export function boundedCredential(credential: TokenCredential): TokenCredential {
  return {
    getToken: async (scopes, options) => {
      const signals = [AbortSignal.timeout(TOKEN_TIMEOUT_MS), options?.abortSignal];
      const signal = AbortSignal.any(signals.filter((one) => one instanceof AbortSignal));
      const late = Promise.withResolvers<never>();
      const give = (): void => late.reject(new NoTokenError(false, "it did not answer in time"));
      if (signal.aborted) give();
      signal.addEventListener("abort", give, { once: true });
      try {
        return await Promise.race([late.promise, credential.getToken(scopes, options)]);
      } catch (cause) {
        if (cause instanceof NoTokenError) throw cause;
        const [text = ""] = messageOf(cause).split(/ - Timestamp|: See /);
        const refused = !/^(network_error|temporarily_unavailable|throttled|server_error)/.test(
          text,
        );
        const code = /AADSTS\d+/.exec(messageOf(cause))?.[0];
        throw new NoTokenError(refused, code ?? text, { cause });
      } finally {
        signal.removeEventListener("abort", give);
      }
    },
  };
}

/** @param createToken asks the API server for a ServiceAccount's token (TokenRequest) */
export function createTokenCredentials(options: {
  readonly createToken: (
    namespace: string,
    serviceAccount: string,
    audience: string,
    signal: AbortSignal,
  ) => Promise<string>;
  /** Where Entra ID answers; sovereign clouds have their own. */
  readonly authorityHost?: string | undefined;
}): TokenCredentials {
  const cache = new Map<string, TokenCredential>();
  return {
    of: (identity) => {
      const key = JSON.stringify(identity);
      const present = cache.get(key);
      if (present !== undefined) return present;
      if (identity.clientId === "" || identity.tenantId === "") {
        throw new OperatorError(
          "CREDENTIALS_MISSING",
          `ServiceAccount ${identity.namespace}/${identity.serviceAccount} is not annotated with azure.workload.identity/client-id and /tenant-id: annotate it, or name a Secret in spec.credentials`,
        );
      }
      const credential = boundedCredential(
        new ClientAssertionCredential(
          identity.tenantId,
          identity.clientId,
          () =>
            options.createToken(
              identity.namespace,
              identity.serviceAccount,
              AUDIENCE,
              AbortSignal.timeout(TOKEN_TIMEOUT_MS),
            ),
          options.authorityHost === undefined
            ? {}
            : { authorityHost: options.authorityHost, disableInstanceDiscovery: true },
        ),
      );
      if (cache.size >= MAX_CREDENTIALS) cache.delete(cache.keys().next().value ?? "");
      cache.set(key, credential);
      return credential;
    },
  };
}
