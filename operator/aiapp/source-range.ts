import { BlockList, isIP } from "node:net";

/** IPv4 addresses in the notation of IPv6: some read them as IPv4. */
const mapped = new BlockList();
mapped.addSubnet("::ffff:0:0", 96, "ipv6");

/** Whether every address of a range (`203.0.113.0/26`) is in the allowed one (`203.0.113.0/24`). */
export function allowsNetwork(allowed: string, network: string): boolean {
  const outer = parseNetwork(allowed);
  const inner = parseNetwork(network);
  if (outer === undefined || inner === undefined) return false;
  if (outer.family !== inner.family || inner.length < outer.length) return false;
  if (inner.family === "ipv6" && mapped.check(inner.address, "ipv6")) return false;
  const list = new BlockList();
  list.addSubnet(outer.address, outer.length, outer.family);
  return list.check(inner.address, inner.family);
}

function parseNetwork(
  text: string,
):
  | { readonly address: string; readonly length: number; readonly family: "ipv4" | "ipv6" }
  | undefined {
  const [address = "", bits = "", ...rest] = text.split("/");
  const version = isIP(address);
  const length = Number(bits);
  if (version === 0 || address.includes("%") || rest.length > 0 || !/^\d{1,3}$/.test(bits))
    return undefined;
  const family = version === 4 ? "ipv4" : "ipv6";
  return length > (version === 4 ? 32 : 128) ? undefined : { address, length, family };
}
