import { messageOf, ServerError } from "./errors.ts";

/**
 * Why the server ended, for the kubelet: `ModelLoadFailed: what happened, where, what to do`. The operator puts the
 * reason into the app's status; what is not the bundle's fault has none.
 */
export function explain(error: unknown): string {
  const message = messageOf(error);
  const code = error instanceof ServerError ? error.code : undefined;
  if (code === "CONFIG_INVALID" || code === "LISTEN_FAILED") return message;
  return `${code === "BUNDLE_CHECKSUM" ? "ModelChecksumMismatch" : "ModelLoadFailed"}: ${message}`;
}
