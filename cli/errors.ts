/** Every error of the CLI. `docs/cli.md` lists them; a test compares the two. */
export const errorCodes = [
  "Usage",
  "BundleInvalid",
  "BundleRefused",
  "CheckFailed",
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
  "NothingToDo",
  "ReleaseUnknown",
  "ReleaseFailed",
  "RequestRejected",
] as const;
export type ErrorCode = (typeof errorCodes)[number];

export const exitCodes = {
  ok: 0,
  failed: 1,
  usage: 2,
  notReady: 3,
  unanswered: 4,
  interrupted: 130,
} as const;

/** `message` states what happened and where; `fix` states what to do about it. Neither holds a secret. */
export class CliError extends Error {
  override readonly name = "CliError";
  readonly code: ErrorCode;
  readonly fix: string;

  constructor(code: ErrorCode, what: string, fix: string, cause?: unknown) {
    super(what, cause === undefined ? undefined : { cause });
    this.code = code;
    this.fix = fix;
  }
}

export function exitCodeOf(error: unknown): number {
  return error instanceof CliError && error.code === "Usage" ? exitCodes.usage : exitCodes.failed;
}

/** The first line of the error that caused this one: Node puts it into `cause` or an AggregateError. */
export function reasonOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return reasonOf(error.errors[0]);
  if (!(error instanceof Error)) return String(error);
  if (error.message === "" && error.cause !== undefined) return reasonOf(error.cause);
  return error.message.split("\n", 1)[0]?.trim() || error.name;
}
