import type { Reason } from "../crds/conditions.ts";
import { GrammarError } from "../crds/grammar/grammar-error.ts";

/**
 * Every error that the operator throws, declared once. A test compares `docs/errors.md` with this table.
 * `reason` is the condition reason that a user sees. `retry` says when a reconcile that failed with it is retried:
 * with back-off, or only after something changes.
 */
export const errors = {
  // The Kubernetes API
  KUBE_CONFLICT: { retry: "backoff", summary: "the object changed since it was read" },
  KUBE_NOT_FOUND: { retry: "backoff", summary: "the object or its namespace does not exist" },
  KUBE_FORBIDDEN: {
    retry: "backoff",
    summary: "the operator lacks permission, or an admission webhook denied the request",
  },
  KUBE_INVALID: {
    retry: "terminal",
    reason: "ApplyRefused",
    summary: "the API server rejects the object",
  },
  KUBE_GONE: { retry: "backoff", summary: "the watch expired: the operator lists again" },
  KUBE_THROTTLED: { retry: "backoff", summary: "the API server throttles the operator" },
  KUBE_UNAVAILABLE: {
    retry: "backoff",
    summary: "the API server cannot be reached or returns 5xx",
  },
  KUBE_TIMEOUT: { retry: "backoff", summary: "the API server does not respond in time" },
  KUBE_UNEXPECTED_RESPONSE: {
    retry: "backoff",
    summary: "the API server returned an unexpected response",
  },
  // The registry
  IMAGE_NOT_FOUND: {
    retry: "backoff",
    reason: "ImageNotFound",
    summary: "the registry has no such tag or digest",
  },
  IMAGE_REFERENCE_INVALID: {
    retry: "terminal",
    reason: "InvalidSpec",
    summary: "the image reference cannot be read",
  },
  IMAGE_POLICY_INVALID: {
    retry: "terminal",
    reason: "InvalidSpec",
    summary: "the range or pattern in imagePolicy cannot be read",
  },
  TAGS_TOO_MANY: {
    retry: "backoff",
    reason: "TooManyTags",
    summary: "the repository has too many tags to choose among",
  },
  REGISTRY_AUTH_FAILED: {
    retry: "backoff",
    reason: "RegistryAuthFailed",
    summary: "the registry denies access to the identity",
  },
  REGISTRY_THROTTLED: {
    retry: "backoff",
    reason: "RegistryThrottled",
    summary: "the registry throttles the operator",
  },
  REGISTRY_UNAVAILABLE: {
    retry: "backoff",
    reason: "RegistryUnavailable",
    summary: "the registry cannot be reached or returns 5xx",
  },
  REGISTRY_UNEXPECTED_RESPONSE: {
    retry: "backoff",
    reason: "RegistryUnexpectedResponse",
    summary: "the registry returned an unexpected response",
  },
  // The store
  MODEL_NOT_FOUND: {
    retry: "backoff",
    reason: "ModelNotFound",
    summary: "the store has no such model or version",
  },
  MODEL_INCOMPLETE: {
    retry: "backoff",
    reason: "ModelIncomplete",
    summary: "the version is not fully published",
  },
  MANIFEST_INVALID: {
    retry: "backoff",
    reason: "BadManifest",
    summary: "manifest.json cannot be used",
  },
  MODEL_CHECKSUM_MISMATCH: {
    retry: "backoff",
    reason: "ModelChecksumMismatch",
    summary: "a file differs from its manifest",
  },
  VERSIONS_AMBIGUOUS: {
    retry: "backoff",
    reason: "AmbiguousVersions",
    summary: "the versions do not compare with each other",
  },
  STORAGE_AUTH_FAILED: {
    retry: "backoff",
    reason: "StorageAuthFailed",
    summary: "the store denies access to the identity",
  },
  STORAGE_THROTTLED: {
    retry: "backoff",
    reason: "StorageThrottled",
    summary: "the store throttles the operator",
  },
  STORAGE_UNAVAILABLE: {
    retry: "backoff",
    reason: "StorageUnavailable",
    summary: "the store cannot be reached or returns 5xx",
  },
  STORAGE_UNEXPECTED_RESPONSE: {
    retry: "backoff",
    reason: "StorageUnexpectedResponse",
    summary: "the store returned an unexpected response",
  },
  // Identity
  SECRET_NOT_FOUND: {
    retry: "backoff",
    reason: "SecretNotFound",
    summary: "a Secret that the AIApp names does not exist",
  },
  SECRET_INVALID: {
    retry: "backoff",
    reason: "SecretInvalid",
    summary: "a Secret lacks a required key, or its value is malformed",
  },
  CREDENTIALS_MISSING: {
    retry: "backoff",
    reason: "CredentialsMissing",
    summary: "no credentials are configured for the source",
  },
  HOST_NOT_ALLOWED: {
    retry: "backoff",
    reason: "HostNotAllowed",
    summary: "the host or its address is not allowed",
  },
  NOT_ALLOWED_BY_POLICY: {
    retry: "backoff",
    reason: "NotAllowedByPolicy",
    summary: "no AIAppSourcePolicy allows what the AIApp names",
  },
  NAMESPACE_LIMIT: {
    retry: "backoff",
    reason: "NamespaceLimit",
    summary: "the AIApps of the namespace take more than they may",
  },
  // The verification of a release
  VERIFICATION_FAILED: {
    retry: "terminal",
    reason: "VerificationFailed",
    summary: "the response to a sample is not as expected",
  },
  SAMPLES_INVALID: {
    retry: "terminal",
    reason: "SamplesInvalid",
    summary: "the bundle's samples cannot be scored",
  },
  VERIFICATION_TIMED_OUT: {
    retry: "terminal",
    reason: "VerificationTimedOut",
    summary: "the server does not respond in time",
  },
  // Notifications
  NOTIFICATION_FAILED: {
    retry: "backoff",
    reason: "NotificationFailed",
    summary: "a webhook does not take a notification",
  },
  // The process
  CONFIG_INVALID: { retry: "terminal", summary: "the operator's own configuration is invalid" },
  LEASE_LOST: { retry: "terminal", summary: "another replica is the leader" },
} as const satisfies Record<string, ErrorKind>;

interface ErrorKind {
  readonly retry: "backoff" | "terminal";
  readonly reason?: Reason;
  readonly summary: string;
}

export type ErrorCode = keyof typeof errors;

export class OperatorError extends Error {
  override readonly name = "OperatorError";
  readonly code: ErrorCode;
  /** The least wait before a retry, in milliseconds, from a Retry-After header. */
  readonly retryAfterMs: number | undefined;

  /** @param message what happened, where, and what to do; never a secret */
  constructor(
    code: ErrorCode,
    message: string,
    options: { readonly cause?: unknown; readonly retryAfterMs?: number | undefined } = {},
  ) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.code = code;
    this.retryAfterMs = options.retryAfterMs;
  }
}

export function isOperatorError(
  error: unknown,
  ...codes: readonly ErrorCode[]
): error is OperatorError {
  return error instanceof OperatorError && (codes.length === 0 || codes.includes(error.code));
}

/** Runs `read`, which parses a text by the contract's grammar. @throws its errors with the same code as OperatorErrors */
export function withOperatorErrors<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw asOperatorError(error);
  }
}

/** An error of the contract's grammar as an OperatorError of the same code; others as they are. */
export function asOperatorError(error: unknown): unknown {
  return error instanceof GrammarError
    ? new OperatorError(error.code, error.message, { cause: error })
    : error;
}

/** The condition reason of a code, for those that users see in conditions. */
export function reasonOf(code: ErrorCode): Reason | undefined {
  const kind: ErrorKind = errors[code];
  return kind.reason;
}

/** Whether failed work is retried with back-off, and the least wait before that; else only after something changes. */
export function retryOf(error: unknown): { readonly retry: boolean; readonly minimumMs: number } {
  if (!isOperatorError(error) && !(error instanceof GrammarError)) {
    return { retry: true, minimumMs: 0 };
  }
  const minimumMs = error instanceof OperatorError ? (error.retryAfterMs ?? 0) : 0;
  return { retry: errors[error.code].retry === "backoff", minimumMs };
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
