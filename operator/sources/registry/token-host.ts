import { OperatorError } from "../../errors.ts";
import type { Challenge } from "./challenge.ts";
import type { RegistryOptions } from "./image-registry.ts";

/** Docker Hub serves its API under another host than its references name. */
export function apiHost(registry: string): string {
  return registry === "docker.io" ? "registry-1.docker.io" : registry;
}

/** Registries that have their token endpoint on another host (docs/decisions/0009-token-hosts.md). */
const KNOWN_TOKEN_HOSTS: ReadonlyMap<string, string> = new Map([
  ["docker.io", "auth.docker.io"],
  ["registry-1.docker.io", "auth.docker.io"],
  ["registry.gitlab.com", "gitlab.com"],
  ["registry.digitalocean.com", "api.digitalocean.com"],
]);

/**
 * The URL to request a token from. The challenge names it, and a login may go there: so it must be on the registry's
 * own host, or on the one host that is known or configured for this registry.
 *
 * @throws REGISTRY_UNEXPECTED_RESPONSE for any other host, before anything is sent
 */
export function tokenUrl(
  { parameters }: Challenge,
  registry: string,
  { policy, tokenHosts }: Pick<RegistryOptions, "policy" | "tokenHosts">,
): URL {
  const realm = parameters.get("realm") ?? "";
  const url = URL.parse(realm);
  const isSecure =
    url?.protocol === "https:" || (url?.protocol === "http:" && policy.insecureHosts.has(url.host));
  if (url === null || !isSecure || !hostsOf(registry, tokenHosts).includes(url.host)) {
    throw new OperatorError(
      "REGISTRY_UNEXPECTED_RESPONSE",
      `${registry} names the token endpoint ${url?.origin ?? JSON.stringify(realm.slice(0, 200))}, which is not the registry's own host: no credentials were sent; if this host is right, add it to the chart's registryTokenHosts`,
    );
  }
  return url;
}

/** As the URL class writes hosts: in lower case, without a default port. */
function hostsOf(
  registry: string,
  tokenHosts: RegistryOptions["tokenHosts"],
): readonly (string | undefined)[] {
  const ownHost = URL.parse(`https://${apiHost(registry)}`)?.host;
  return [registry, ownHost, tokenHosts?.get(registry) ?? KNOWN_TOKEN_HOSTS.get(registry)];
}
