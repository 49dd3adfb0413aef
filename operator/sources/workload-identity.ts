import type { TokenCredential } from "@azure/core-auth";
import { ClientAssertionCredential } from "@azure/identity";
import { LRUCache } from "lru-cache";

import { OperatorError } from "../errors.ts";
import { boundedCredential, TOKEN_TIMEOUT_MS } from "./bounded-credential.ts";
import type { Identity } from "./identity.ts";

/** The audience of the ServiceAccount tokens that Entra ID exchanges (workload identity federation). */
const AUDIENCE = "api://AzureADTokenExchange";

type WorkloadIdentity = Extract<Identity, { kind: "workload" }>;

/** Azure credentials of ServiceAccounts: Entra ID exchanges a ServiceAccount's token for an access token. */
export interface TokenCredentials {
  readonly of: (identity: WorkloadIdentity) => TokenCredential;
}

const MAX_CREDENTIALS = 1000;

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
