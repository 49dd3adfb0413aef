import type { TokenCredential } from "@azure/core-auth";
import { ClientAssertionCredential } from "@azure/identity";
import { LRUCache } from "lru-cache";

import { messageOf, OperatorError } from "../errors.ts";
import type { Identity } from "./identity.ts";

/** The audience of the ServiceAccount tokens that Entra ID exchanges (workload identity federation). */
const AUDIENCE = "api://AzureADTokenExchange";

type WorkloadIdentity = Extract<Identity, { kind: "workload" }>;

/** Azure credentials of ServiceAccounts: Entra ID exchanges a ServiceAccount's token for an access token. */
export interface TokenCredentials {
  readonly of: (identity: WorkloadIdentity) => TokenCredential;
}

const MAX_CREDENTIALS = 1000;
/** Includes the SDK's own retries. */
const TOKEN_TIMEOUT_MS = 15_000;

/** Entra ID issued no token: it refused the request, or did not respond. */
export class EntraTokenError extends Error {
  override readonly name = "EntraTokenError";
  readonly refused: boolean;

  /** @param detail the same for each attempt: Entra's own messages hold times and trace ids */
  constructor(refused: boolean, detail: string, options?: ErrorOptions) {
    super(detail, options);
    this.refused = refused;
  }

  /** For a condition. @param resource what the operator wanted to read */
  explain(resource: string): string {
    const what = `Entra ID issued no token to read ${resource} (${this.message})`;
    return this.refused
      ? `${what}: check the federated credential of the ServiceAccount`
      : `${what}: the operator retries`;
  }
}

/** The SDK's credentials ignore the signal, have no time limit, and do not distinguish a refusal from an outage: this does. */
export function boundedCredential(credential: TokenCredential): TokenCredential {
  return {
    getToken: async (scopes, options) => {
      const signals = [AbortSignal.timeout(TOKEN_TIMEOUT_MS), options?.abortSignal];
      const signal = AbortSignal.any(signals.filter((one) => one instanceof AbortSignal));
      const aborted = Promise.withResolvers<never>();
      const abort = (): void =>
        aborted.reject(new EntraTokenError(false, "it did not respond in time"));
      if (signal.aborted) abort();
      signal.addEventListener("abort", abort, { once: true });
      try {
        return await Promise.race([aborted.promise, credential.getToken(scopes, options)]);
      } catch (error) {
        throw tokenError(error);
      } finally {
        signal.removeEventListener("abort", abort);
      }
    },
  };
}

function tokenError(cause: unknown): EntraTokenError {
  if (cause instanceof EntraTokenError) return cause;
  const message = messageOf(cause);
  const [summary = ""] = message.split(/ - Timestamp|: See /);
  const isOutage = /^(network_error|temporarily_unavailable|throttled|server_error)/.test(summary);
  const code = /AADSTS\d+/.exec(message)?.[0];
  return new EntraTokenError(!isOutage, code ?? summary, { cause });
}

export interface TokenCredentialOptions {
  /** Requests a ServiceAccount's token from the API server (TokenRequest). */
  readonly createToken: (
    namespace: string,
    serviceAccount: string,
    audience: string,
    signal: AbortSignal,
  ) => Promise<string>;
  /** Entra ID's address; sovereign clouds have their own. */
  readonly authorityHost?: string | undefined;
}

export function createTokenCredentials(options: TokenCredentialOptions): TokenCredentials {
  const cache = new LRUCache<string, TokenCredential>({ max: MAX_CREDENTIALS });
  return {
    of: (identity) => {
      const key = JSON.stringify(identity);
      const cached = cache.get(key);
      if (cached !== undefined) return cached;
      const credential = createCredential(identity, options);
      cache.set(key, credential);
      return credential;
    },
  };
}

/** @throws CREDENTIALS_MISSING without a client id or a tenant id */
function createCredential(
  { namespace, serviceAccount, clientId, tenantId }: WorkloadIdentity,
  { createToken, authorityHost }: TokenCredentialOptions,
): TokenCredential {
  if (clientId === "" || tenantId === "") {
    throw new OperatorError(
      "CREDENTIALS_MISSING",
      `ServiceAccount ${namespace}/${serviceAccount} lacks the annotations azure.workload.identity/client-id and /tenant-id: add them, or name a Secret in spec.credentials`,
    );
  }
  const getAssertion = (): Promise<string> =>
    createToken(namespace, serviceAccount, AUDIENCE, AbortSignal.timeout(TOKEN_TIMEOUT_MS));
  return boundedCredential(
    new ClientAssertionCredential(
      tenantId,
      clientId,
      getAssertion,
      authorityHost === undefined ? {} : { authorityHost, disableInstanceDiscovery: true },
    ),
  );
}
