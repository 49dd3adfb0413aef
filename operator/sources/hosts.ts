import dns from "node:dns";
import { Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import { BlockList, isIP, type LookupFunction } from "node:net";
import { getCACertificates } from "node:tls";

import { OperatorError } from "../errors.ts";

/**
 * Which hosts may be asked. An AIApp names hosts, and whoever writes one must not make the operator talk to itself, to
 * the node or to a cloud's metadata service: addresses are checked when a connection is made, after the name resolved.
 */
export interface HostPolicy {
  /** Hosts (with port, when not the default) that are asked over plain http. */
  readonly insecureHosts: ReadonlySet<string>;
  /** Only where registries and stores run on the very machine, as in tests. */
  readonly allowLoopback: boolean;
  /** Authorities trusted beside the public ones, as PEM. */
  readonly caBundle?: string | undefined;
}

function blocked(allowLoopback: boolean): BlockList {
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
  // The same behind NAT64, and Amazon's metadata.
  list.addSubnet("64:ff9b::a9fe:0", 112, "ipv6");
  list.addSubnet("64:ff9b::7f00:0", 104, "ipv6");
  list.addAddress("64:ff9b::a83f:8110", "ipv6");
  list.addAddress("fd00:ec2::254", "ipv6");
  return list;
}

function refuse(host: string, address: string): OperatorError {
  return new OperatorError(
    "HOST_NOT_ALLOWED",
    `${host} is ${address}, a loopback, link-local or metadata address: name a registry or store outside this node`,
  );
}

/**
 * The other side may have closed a kept connection a moment ago: what we ask only reads, so it is asked once more.
 */
export async function againWhenReset<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (code !== "ECONNRESET" && code !== "EPIPE") throw error;
    return ask();
  }
}

/** The scheme that a host is asked by. */
export function schemeOf(host: string, policy: HostPolicy): "http" | "https" {
  return policy.insecureHosts.has(host) ? "http" : "https";
}

export interface Agents {
  readonly http: HttpAgent;
  readonly https: HttpsAgent;
  readonly lookup: LookupFunction;
  /** @throws HOST_NOT_ALLOWED for a literal address, which is never looked up */
  readonly check: (hostname: string) => void;
}

export function createAgents(policy: HostPolicy): Agents {
  const list = blocked(policy.allowLoopback);

  function isBlocked(address: string): boolean {
    // An IPv4 address in IPv6 clothes (::ffff:…) is judged as what it is.
    return list.check(address, isIP(address) === 6 ? "ipv6" : "ipv4");
  }

  const lookup: LookupFunction = (hostname, options, callback) => {
    dns.lookup(hostname, { ...options, all: true }, (error, addresses) => {
      if (error !== null) {
        callback(error, "");
        return;
      }
      const bad = addresses.find(({ address }) => isBlocked(address));
      const [first] = addresses;
      if (bad !== undefined) callback(refuse(hostname, bad.address), "");
      else if (options.all === true) callback(null, addresses);
      else callback(null, first?.address ?? "", first?.family ?? 4);
    });
  };
  const options = { keepAlive: true, maxSockets: 16, lookup } as const;
  const { caBundle } = policy;
  const ca = caBundle === undefined ? {} : { ca: [...getCACertificates("default"), caBundle] };
  return {
    http: new HttpAgent(options),
    https: new HttpsAgent({ ...options, ...ca }),
    lookup,
    check: (hostname) => {
      const bare = hostname.replace(/^\[|\]$/g, "");
      if (isIP(bare) !== 0 && isBlocked(bare)) throw refuse(hostname, bare);
    },
  };
}
