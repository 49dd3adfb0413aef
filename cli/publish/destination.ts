import { isIP } from "node:net";

import { Model } from "../../crds/aiapp/sources.ts";
import { isChoice } from "../../crds/grammar/selector.ts";
import { isSortable } from "../../crds/grammar/version-kind.ts";
import { CliError } from "../errors.ts";

/** The parts of `--to`. */
export interface Destination {
  /** The container's URL, as `spec.model.store` has it. */
  readonly store: string;
  readonly host: string;
  readonly account: string;
  readonly container: string;
  readonly name: string;
  readonly version: string;
  /** Blob names of this version begin with it; it ends in a slash, so that `7` does not match `70`. */
  readonly prefix: string;
}

const form = "https://<account>.blob.core.windows.net/<container>/<name>/<version>";

/** Checks that an option of the command line turns off. */
export interface Allowed {
  /** Plain http to another machine. */
  readonly allowHttp?: boolean;
  /** Versions that `latest` and ranges cannot sort. */
  readonly anyVersion?: boolean;
}

export function parseDestination(to: string, allowed: Allowed = {}): Destination {
  const url = URL.parse(to);
  const shown = withoutSecrets(to);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw usage(`--to ${shown} is not a Blob URL`, `Write it as ${form}.`);
  }
  // From here on `to` holds no secret, so that errors may show it.
  if (shown !== to) {
    throw usage(
      `--to ${shown} carries a query, a fragment or a password`,
      "Give the plain URL; a SAS token belongs in AZURE_STORAGE_SAS_TOKEN, which process lists and shell histories do not show.",
    );
  }
  if (url.protocol === "http:" && !allowed.allowHttp && !isLoopback(url.hostname)) {
    throw usage(
      `--to ${to} is plain http, and ${url.hostname} is another machine`,
      "Use https://, or --allow-http if you trust the network.",
    );
  }
  // The URL class resolves '..' silently: parse the path as it was written.
  const path = to.slice(to.indexOf("://") + 3).replace(/^[^/]*\/?/, "");
  const segments = path.replace(/\/$/, "").split("/");
  const account = isPathStyle(url.hostname) ? segments.shift() : url.hostname.split(".")[0];
  const [container, ...folders] = segments;
  const version = folders.pop();
  if (!account || !container || version === undefined || folders.length === 0) {
    throw usage(`--to ${to} names no container, model and version`, `Write it as ${form}.`);
  }
  if (!/^(?!.*--)[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$/.test(container)) {
    throw usage(
      `'${container}' in --to ${to} is not a valid container name`,
      "A container's name has 3 to 63 lower-case letters, digits and single hyphens.",
    );
  }
  const name = folders.join("/");
  if (!Model.shape.name.safeParse(name).success) {
    throw usage(
      `'${name}' in --to ${to} is not a valid model name`,
      "Use letters, digits, '.', '_' and '-', with '/' between folders.",
    );
  }
  checkVersion(version, to, allowed.anyVersion ?? false);
  return {
    store: [url.origin, ...(isPathStyle(url.hostname) ? [account] : []), container].join("/"),
    host: url.hostname,
    account,
    container,
    name,
    version,
    prefix: `${name}/${version}/`,
  };
}

function checkVersion(version: string, to: string, anyVersion: boolean): void {
  if (!/^[A-Za-z0-9][A-Za-z0-9._+-]{0,127}$/.test(version)) {
    throw usage(
      `'${version}' in --to ${to} is not a valid version`,
      "Use a number (7), a semantic version (1.4.0) or a date (2026-03-01).",
    );
  }
  if (isChoice(version)) {
    throw usage(
      `'${version}' in --to ${to} selects a version instead of naming one`,
      "Publish under a version of its own, such as 7 or 1.4.0; AIApps that follow latest find it.",
    );
  }
  if (!anyVersion && !isSortable(version)) {
    throw usage(
      `'${version}' in --to ${to} is not a number, semantic version or date: AIApps that follow latest or a range of this model would report AmbiguousVersions`,
      "Use a number (7), a semantic version (1.4.0) or a date (2026-03-01), or pass --any-version if every AIApp of this model names an exact version.",
    );
  }
}

/** Removes what could be a SAS token or a password, escaped or not, even if the rest is not a URL. */
function withoutSecrets(to: string): string {
  const plain = to.replace(/([?#&]|%3f|%23|%26).*$/is, "");
  const scheme = /^https?:\/\//i.exec(plain)?.[0] ?? "";
  return scheme + plain.slice(scheme.length).replace(/^.*@/s, "");
}

/** Azurite and other emulators at an IP address have the account in the path. */
function isPathStyle(hostname: string): boolean {
  return hostname === "localhost" || isIP(hostname.replace(/^\[|\]$/g, "")) !== 0;
}

function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname === "[::1]" || /^127(\.\d+){3}$/.test(hostname);
}

function usage(what: string, fix: string): CliError {
  return new CliError("Usage", what, fix);
}
