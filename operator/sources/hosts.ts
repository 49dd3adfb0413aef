import dns from "node:dns";
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import { BlockList, isIP, type LookupFunction } from "node:net";
import { getCACertificates } from "node:tls";

import { createByteBudget, type ByteBudget } from "../byte-budget.ts";
import { OperatorError } from "../errors.ts";
import { embeddedIPv4 } from "./embedded-ipv4.ts";

/**
 * Which hosts the operator may connect to. An AIApp names hosts, and its author must not be able to make the operator
 * call itself, the node or a cloud's metadata service: addresses are checked on connecting, after the name is resolved.
 */
export interface HostPolicy {
  /** Hosts (with their port, unless it is the default) that are contacted over plain http. */
  readonly insecureHosts: ReadonlySet<string>;
  /** Only where registries and stores run on the same machine, as in tests. */
  readonly allowLoopback: boolean;
  /** Networks, as `10.0.0.0/8`, that no AIApp may name hosts in: the cluster's own, and those that it can reach. */
  readonly deniedNetworks?: readonly string[];
  /** Certificate authorities that are trusted beside the public ones, as PEM. */
  readonly caBundle?: string | undefined;
}

export interface Agents {
  readonly http: HttpAgent;
  readonly https: HttpsAgent;
  readonly lookup: LookupFunction;
  /** What responses may hold together while they are read. */
  readonly budget: ByteBudget;
  /** @throws HOST_NOT_ALLOWED for a literal address, which is never resolved */
  readonly check: (hostname: string) => void;
}

const MAX_SOCKETS_PER_HOST = 16;
const MAX_RESPONSE_BYTES = 32 * 1024 * 1024;

export function createAgents(policy: HostPolicy): Agents {
  const denied = deniedAddresses(policy);
  const lookup = guardedLookup(denied);
  const options = { keepAlive: true, maxSockets: MAX_SOCKETS_PER_HOST, lookup } as const;
  const { caBundle } = policy;
  const ca = caBundle === undefined ? {} : { ca: [...getCACertificates("default"), caBundle] };
  return {
    http: new HttpAgent(options),
    https: new HttpsAgent({ ...options, ...ca }),
    lookup,
    budget: createByteBudget(MAX_RESPONSE_BYTES),
    check: (hostname) => {
      const address = hostname.replace(/^\[|\]$/g, "");
      if (isIP(address) !== 0 && isDenied(denied, address)) throw notAllowed(hostname);
    },
  };
}

/** Of IPv4: this host, shared (carrier) networks, link-local with its metadata services, multicast, and reserved. */
const DENIED_IPV4 = [
  "0.0.0.0/8",
  "100.64.0.0/10",
  "169.254.0.0/16",
  // Azure's wire server: metadata and host agent.
  "168.63.129.16/32",
  "192.0.0.0/24",
  "198.18.0.0/15",
  "224.0.0.0/4",
  "240.0.0.0/4",
];
const LOOPBACK_IPV4 = "127.0.0.0/8";

/** Of IPv6: unspecified, link-local, deprecated site-local, multicast, and Amazon's metadata service. */
const DENIED_IPV6 = ["::/128", "fe80::/10", "fec0::/10", "ff00::/8", "fd00:ec2::254/128"];
const LOOPBACK_IPV6 = "::1/128";

function deniedAddresses({ allowLoopback, deniedNetworks = [] }: HostPolicy): BlockList {
  const list = new BlockList();
  const loopback = allowLoopback ? [] : [LOOPBACK_IPV4, LOOPBACK_IPV6];
  for (const network of [...DENIED_IPV4, ...DENIED_IPV6, ...loopback, ...deniedNetworks]) {
    const [address = "", length = ""] = network.split("/");
    list.addSubnet(address, Number(length), isIP(address) === 6 ? "ipv6" : "ipv4");
  }
  return list;
}

/** An address is denied as it is written, and as the IPv4 address that a gateway would make of it. */
function isDenied(list: BlockList, address: string): boolean {
  if (isIP(address) === 4) return list.check(address, "ipv4");
  if (list.check(address, "ipv6")) return true;
  const inner = embeddedIPv4(address);
  return inner !== undefined && list.check(inner, "ipv4");
}

/** Resolves a name and refuses it when any of its addresses is denied: a later attempt could connect to that one. */
function guardedLookup(denied: BlockList): LookupFunction {
  return (hostname, options, callback) => {
    dns.lookup(hostname, { ...options, all: true }, (error, addresses) => {
      if (error !== null) {
        callback(error, "");
        return;
      }
      const bad = addresses.find(({ address }) => isDenied(denied, address));
      const [first] = addresses;
      if (bad !== undefined) callback(notAllowed(hostname), "");
      else if (options.all === true) callback(null, addresses);
      else callback(null, first?.address ?? "", first?.family ?? 4);
    });
  };
}

/** Without the address: what the operator's DNS knows of internal names is not for tenants. */
function notAllowed(host: string): OperatorError {
  return new OperatorError(
    "HOST_NOT_ALLOWED",
    `${host} has an address that is not allowed (loopback, link-local, metadata, reserved, or in the operator's deniedNetworks): name a registry or store outside these networks`,
  );
}

export interface HostRequest {
  readonly method: "GET" | "HEAD" | "PUT" | "POST";
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | undefined;
}

/** One request through agents that check addresses; the body of the response is not read. Follows no redirect. @throws HOST_NOT_ALLOWED */
export async function openRequest(
  { method, url, headers, body }: HostRequest,
  agents: Agents,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  agents.check(url.hostname);
  const insecure = url.protocol === "http:";
  return new Promise((resolve, reject) => {
    const agent = insecure ? agents.http : agents.https;
    const send = insecure ? httpRequest : httpsRequest;
    const request = send(url, { method, headers, signal, agent }, resolve);
    request.on("error", reject);
    request.end(body);
  });
}

/** Sends a request again, once, when the server closed a kept-alive connection. Only for requests that may be sent twice. */
export async function retryOnConnectionReset<T>(send: () => Promise<T>): Promise<T> {
  try {
    return await send();
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (code !== "ECONNRESET" && code !== "EPIPE") throw error;
    return send();
  }
}

/** The scheme that a host is contacted by. */
export function schemeOf(host: string, policy: HostPolicy): "http" | "https" {
  return policy.insecureHosts.has(host) ? "http" : "https";
}
