import { ClientAssertionCredential } from "@azure/identity";
import type { TokenCredential } from "@azure/core-auth";

import { OperatorError } from "../errors.ts";
import type { Identity } from "./identity.ts";

/** The audience of tokens that Entra ID exchanges (workload identity federation). */
const AUDIENCE = "api://AzureADTokenExchange";

type Workload = Extract<Identity, { kind: "workload" }>;

/** Azure credentials of ServiceAccounts: a token of the ServiceAccount's own, exchanged at Entra ID. */
export interface TokenCredentials {
  readonly of: (identity: Workload) => TokenCredential;
}

const MAX_CREDENTIALS = 1000;

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
      const credential = new ClientAssertionCredential(
        identity.tenantId,
        identity.clientId,
        () =>
          options.createToken(
            identity.namespace,
            identity.serviceAccount,
            AUDIENCE,
            AbortSignal.timeout(15_000),
          ),
        options.authorityHost === undefined
          ? {}
          : { authorityHost: options.authorityHost, disableInstanceDiscovery: true },
      );
      if (cache.size >= MAX_CREDENTIALS) cache.delete(cache.keys().next().value ?? "");
      cache.set(key, credential);
      return credential;
    },
  };
}
