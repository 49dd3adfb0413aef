/** Every error of the CLI. `docs/cli.md` lists them; a test holds the two together. */
export const errorCodes = [
  "Usage",
  "BundleInvalid",
  "FileChanged",
  "CredentialsMissing",
  "CredentialsInvalid",
  "StorageAuthFailed",
  "StorageUnavailable",
  "ContainerNotFound",
  "AlreadyPublished",
  "PublishConflict",
  "PublishUnverified",
  "KubeconfigInvalid",
  "ClusterUnavailable",
  "ClusterAuthFailed",
  "AppNotFound",
  "AppUnreadable",
] as const;
export type ErrorCode = (typeof errorCodes)[number];

export const exitCodes = { ok: 0, failed: 1, usage: 2, notReady: 3, interrupted: 130 } as const;

/** What happened and where, then what to do about it. */
export class CliError extends Error {
  override readonly name = "CliError";
  readonly code: ErrorCode;
  readonly mend: string;

  constructor(code: ErrorCode, what: string, mend: string, cause?: unknown) {
    super(what, cause === undefined ? undefined : { cause });
    this.code = code;
    this.mend = mend;
  }
}

export function exitCodeOf(error: unknown): number {
  return error instanceof CliError && error.code === "Usage" ? exitCodes.usage : exitCodes.failed;
}

/** The one line that says why, from whatever was thrown: Node hides it in `cause` or in an AggregateError. */
export function reasonOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return reasonOf(error.errors[0]);
  if (!(error instanceof Error)) return String(error);
  if (error.message === "" && error.cause !== undefined) return reasonOf(error.cause);
  return error.message.split("\n", 1)[0]?.trim() || error.name;
}
