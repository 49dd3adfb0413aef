/** Hosts and store URLs by allow-list: what no rule admits is refused, since parsers differ on all else. */

const LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?";
const NAME = `${LABEL}(?:\\.${LABEL})*`;
const IPV6 = "\\[[0-9A-Fa-f:.]{2,45}\\]";
const PORT = "(?::[0-9]{1,5})?";

const hostPattern = new RegExp(`^(?:${NAME}|${IPV6})${PORT}$`);
const storePattern = new RegExp(
  `^https?://(?<host>(?:${NAME}|${IPV6})${PORT})(?:/[A-Za-z0-9$][A-Za-z0-9._-]*)+$`,
);

const MAX_HOST_LENGTH = 253 + 6;
const MAX_PORT = 65_535;

/** A DNS name, an IPv4 address or an IPv6 address in brackets, each with or without a port. */
export function isHost(text: string): boolean {
  if (text.length > MAX_HOST_LENGTH || !hostPattern.test(text)) return false;
  const [, name = "", port = "0"] = /^(.*?)(?::(\d+))?$/.exec(text) ?? [];
  return Number(port) <= MAX_PORT && (text.startsWith("[") || !isOddAddress(name));
}

/** A name whose last label is a number is read as an IPv4 address: only the usual form of one is admitted. */
function isOddAddress(name: string): boolean {
  const looksNumeric = /(^|\.)(\d+|0[xX][0-9A-Fa-f]*)$/.test(name);
  const octets = name.split(".");
  const isUsual =
    octets.length === 4 && octets.every((o) => /^(0|[1-9]\d{0,2})$/.test(o) && Number(o) < 256);
  return looksNumeric && !isUsual;
}

/** The URL of a Blob container: a scheme, a host, and folders of letters, digits and `.`, `_`, `-`. */
export function isStore(text: string): boolean {
  const host = storePattern.exec(text)?.groups?.["host"];
  return host !== undefined && isHost(host);
}
