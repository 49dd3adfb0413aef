import dns from "node:dns";
import { Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import { BlockList, isIP, type LookupFunction } from "node:net";
import { getCACertificates } from "node:tls";

import { createByteBudget, type ByteBudget } from "../byte-budget.ts";
import { OperatorError } from "../errors.ts";

/**
 * Which hosts the operator may connect to. An AIApp names hosts, and its author must not be able to make the operator
 * call itself, the node or a cloud's metadata service: addresses are checked on connecting, after the name is resolved.
 */
export interface HostPolicy {
  /** Hosts (with their port, unless it is the default) that are contacted over plain http. */
  readonly insecureHosts: ReadonlySet<string>;
  /** Only where registries and stores run on the same machine, as in tests. */
  readonly allowLoopback: boolean;
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
  const blocked = blockedAddresses(policy.allowLoopback);
  const lookup = guardedLookup(blocked);
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
      if (isIP(address) !== 0 && isBlocked(blocked, address)) throw notAllowed(hostname, address);
    },
  };
}

function blockedAddresses(allowLoopback: boolean): BlockList {
  const list = new BlockList();
  if (!allowLoopback) {
    list.addSubnet("127.0.0.0", 8, "ipv4");
    list.addAddress("::1", "ipv6");
  }
  list.addSubnet("0.0.0.0", 8, "ipv4");
  list.addSubnet("169.254.0.0", 16, "ipv4");
  // Azure's wire server: metadata and host agent.
  list.addAddress("168.63.129.16", "ipv4");
  list.addSubnet("224.0.0.0", 4, "ipv4");
  list.addSubnet("fe80::", 10, "ipv6");
  list.addAddress("::", "ipv6");
  // The same addresses behind NAT64, and Amazon's metadata service.
  list.addSubnet("64:ff9b::a9fe:0", 112, "ipv6");
  list.addSubnet("64:ff9b::7f00:0", 104, "ipv6");
  list.addAddress("64:ff9b::a83f:8110", "ipv6");
  list.addAddress("fd00:ec2::254", "ipv6");
  return list;
}

/** BlockList compares an IPv4-mapped IPv6 address (::ffff:…) with the IPv4 rules. */
function isBlocked(list: BlockList, address: string): boolean {
  return list.check(address, isIP(address) === 6 ? "ipv6" : "ipv4");
}

/** Resolves a name and refuses it when any of its addresses is blocked: a later attempt could connect to that one. */
function guardedLookup(blocked: BlockList): LookupFunction {
  return (hostname, options, callback) => {
    dns.lookup(hostname, { ...options, all: true }, (error, addresses) => {
      if (error !== null) {
        callback(error, "");
        return;
      }
      const bad = addresses.find(({ address }) => isBlocked(blocked, address));
      const [first] = addresses;
      if (bad !== undefined) callback(notAllowed(hostname, bad.address), "");
      else if (options.all === true) callback(null, addresses);
      else callback(null, first?.address ?? "", first?.family ?? 4);
    });
  };
}

function notAllowed(host: string, address: string): OperatorError {
  return new OperatorError(
    "HOST_NOT_ALLOWED",
    `${host} is ${address}, a loopback, link-local or metadata address: name a registry or store outside this node`,
  );
}

/** Sends a request again, once, when the server closed a kept-alive connection. Only for requests that read. */
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
