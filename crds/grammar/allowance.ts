/**
 * Whether a name is within what an AIAppSourcePolicy allows. Prefixes end at a part of the name: `host/cats` allows
 * `host/cats` and `host/cats/big`, and neither `host/cats-evil` nor `host.evil/cats`. What cannot be read is not within
 * anything.
 */

/** A registry (`contoso.azurecr.io`), or a repository and those below it (`contoso.azurecr.io/cats`). */
export function allowsRepository(allowed: string, registry: string, repository: string): boolean {
  return isWithin(allowed, `${registry}/${repository}`);
}

/** The URL of a model, within that of an account, of a container or of a folder in it: `https://contoso.blob.core.windows.net/models`. */
export function allowsLocation(allowed: string, url: string): boolean {
  const [scheme, prefix] = allowed.split("://");
  const [namedScheme, location] = url.split("://");
  if (prefix === undefined || location === undefined || scheme !== namedScheme) return false;
  return isWithin(prefix, location);
}

/** Hosts do not distinguish case, paths do; a port is a part of the host, as it is written. */
function isWithin(allowed: string, name: string): boolean {
  const [host = "", ...path] = allowed.split("/");
  const [namedHost = "", ...namedPath] = name.split("/");
  return (
    host !== "" &&
    host.toLowerCase() === namedHost.toLowerCase() &&
    path.length <= namedPath.length &&
    path.every((part, index) => part === namedPath[index])
  );
}

/** A DNS name (`cats.contoso.com`), or all below one (`*.contoso.com`). */
export function allowsHost(allowed: string, host: string): boolean {
  const pattern = normalized(allowed);
  const name = normalized(host);
  if (name === "" || name.split(".").includes("")) return false;
  return pattern.startsWith("*.")
    ? name.endsWith(pattern.slice(1)) && name.length > pattern.length - 1
    : name === pattern;
}

/** DNS distinguishes no case, and a dot at the end is the root of every name. */
function normalized(host: string): string {
  return host.toLowerCase().replace(/\.$/, "");
}
