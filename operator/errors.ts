import type { Reason } from "../crds/conditions.ts";

/**
 * Every error that the operator throws, declared once. `docs/errors.md` is held to this table by a test.
 * `reason` is the condition reason that a user sees; `retry` says how a reconcile that met it comes back:
 * with back-off, or not before something changes.
 */
export const errors = {
  // The Kubernetes API
  KUBE_CONFLICT: { retry: "backoff", summary: "the object changed in the meantime" },
  KUBE_NOT_FOUND: { retry: "backoff", summary: "the object or its namespace is not there" },
  KUBE_FORBIDDEN: { retry: "backoff", summary: "the operator has not the right to do this" },
  KUBE_INVALID: {
    retry: "terminal",
    reason: "ApplyRefused",
    summary: "the API server refuses the object",
  },
  KUBE_GONE: { retry: "backoff", summary: "the watch is too old: list again" },
  KUBE_THROTTLED: { retry: "backoff", summary: "the API server asks us to slow down" },
  KUBE_UNAVAILABLE: { retry: "backoff", summary: "the API server does not answer" },
  KUBE_TIMEOUT: { retry: "backoff", summary: "the API server does not answer in time" },
  KUBE_UNEXPECTED_RESPONSE: {
    retry: "backoff",
    summary: "the API server answered what it should not",
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
    summary: "the range or the pattern for tags cannot be read",
  },
  TAGS_TOO_MANY: {
    retry: "backoff",
    reason: "TooManyTags",
    summary: "the repository has too many tags to choose among",
  },
  REGISTRY_AUTH_FAILED: {
    retry: "backoff",
    reason: "RegistryAuthFailed",
    summary: "the registry refuses the identity",
  },
  REGISTRY_THROTTLED: {
    retry: "backoff",
    reason: "RegistryThrottled",
    summary: "the registry asks us to slow down",
  },
  REGISTRY_UNAVAILABLE: {
    retry: "backoff",
    reason: "RegistryUnavailable",
    summary: "the registry does not answer",
  },
  REGISTRY_UNEXPECTED_RESPONSE: {
    retry: "backoff",
    reason: "RegistryUnexpectedResponse",
    summary: "the registry answered what it should not",
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
    summary: "the version is not published in full",
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
    summary: "the store refuses the identity",
  },
  STORAGE_THROTTLED: {
    retry: "backoff",
    reason: "StorageThrottled",
    summary: "the store asks us to slow down",
  },
  STORAGE_UNAVAILABLE: {
    retry: "backoff",
    reason: "StorageUnavailable",
    summary: "the store does not answer",
  },
  STORAGE_UNEXPECTED_RESPONSE: {
    retry: "backoff",
    reason: "StorageUnexpectedResponse",
    summary: "the store answered what it should not",
  },
  // Identity
  SECRET_NOT_FOUND: {
    retry: "backoff",
    reason: "SecretNotFound",
    summary: "a Secret that the AIApp names is missing",
  },
  SECRET_INVALID: {
    retry: "backoff",
    reason: "SecretInvalid",
    summary: "a Secret has not the keys that it should",
  },
  CREDENTIALS_MISSING: {
    retry: "backoff",
    reason: "CredentialsMissing",
    summary: "no identity is set for the source",
  },
  HOST_NOT_ALLOWED: {
    retry: "backoff",
    reason: "HostNotAllowed",
    summary: "the host must not be contacted",
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
  // The process
  CONFIG_INVALID: { retry: "terminal", summary: "the operator's own configuration is wrong" },
  LEASE_LOST: { retry: "terminal", summary: "another replica leads now" },
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
  /** Do not come back sooner, in milliseconds: what a Retry-After header said. */
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

/** The condition reason of a code, for those that users see in conditions. */
export function reasonOf(code: ErrorCode): Reason | undefined {
  const kind: ErrorKind = errors[code];
  return kind.reason;
}

/** How work that failed comes back: not before something changes, or with back-off, and not sooner than this. */
export function retryOf(error: unknown): { readonly retry: boolean; readonly minimumMs: number } {
  if (!isOperatorError(error)) return { retry: true, minimumMs: 0 };
  return { retry: errors[error.code].retry === "backoff", minimumMs: error.retryAfterMs ?? 0 };
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
