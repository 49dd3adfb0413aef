import type { Purpose } from "./distribution-api.ts";

/** The challenge in a registry's 401 (`WWW-Authenticate`, RFC 9110, 11.6.1): `Bearer realm="…",service="…",scope="…"`. */
export interface Challenge {
  /** In lower case. */
  readonly scheme: string;
  /** By name in lower case. */
  readonly parameters: ReadonlyMap<string, string>;
}

export function parseChallenge(header: string): Challenge {
  const [scheme = ""] = header.trim().split(/\s/, 1);
  const parameters = new Map<string, string>();
  for (const match of header.slice(scheme.length).matchAll(/([a-zA-Z_]+)="((?:[^"\\]|\\.)*)"/g)) {
    parameters.set((match[1] ?? "").toLowerCase(), match[2] ?? "");
  }
  return { scheme: scheme.toLowerCase(), parameters };
}

const READ_SCOPE = /^repository:(?<repository>[^:]+):(pull|metadata_read)(,(pull|metadata_read))*$/;

/**
 * The scope to request a token for: the challenge's own (ACR wants another one for lists than for manifests), if it
 * only reads this repository; else the right to pull from it. To push, the right to do that.
 */
export function scopeFor(
  { parameters }: Challenge,
  repository: string,
  purpose: Purpose = "pull",
): string {
  if (purpose === "push") return `repository:${repository}:pull,push`;
  const scope = parameters.get("scope") ?? "";
  return READ_SCOPE.exec(scope)?.groups?.["repository"] === repository
    ? scope
    : `repository:${repository}:pull`;
}
