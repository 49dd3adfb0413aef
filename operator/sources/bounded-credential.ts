import type { TokenCredential } from "@azure/core-auth";

import { messageOf } from "../errors.ts";

/** Includes the SDK's own retries. */
export const TOKEN_TIMEOUT_MS = 15_000;

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
