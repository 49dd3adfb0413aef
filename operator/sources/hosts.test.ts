import dns, { type LookupAddress } from "node:dns";

import { afterEach, describe, expect, it, vi } from "vitest";

import { retryOnConnectionReset, createAgents, schemeOf, type HostPolicy } from "./hosts.ts";

const policy: HostPolicy = { insecureHosts: new Set(), allowLoopback: false };

/** What connecting to a name would find, when it resolves to these. */
function lookUp(
  name: string,
  addresses: readonly string[],
  options: { readonly all?: boolean } = {},
  rules = policy,
  failure: Error | null = null,
): Promise<string | LookupAddress[]> {
  const resolved = addresses.map((address) => ({ address, family: address.includes(":") ? 6 : 4 }));
  // Of its many forms the one that is called is (name, options, callback).
  vi.spyOn(dns, "lookup").mockImplementation(((
    _: string,
    __: unknown,
    callback: (error: Error | null, found: LookupAddress[]) => void,
  ) => callback(failure, resolved)) as unknown as typeof dns.lookup);
  return new Promise((resolve, reject) => {
    createAgents(rules).lookup(name, options, (error, found) => {
      if (error === null) resolve(found);
      else reject(error);
    });
  });
}

afterEach(() => vi.restoreAllMocks());

const blocked = [
  "127.0.0.1",
  "127.8.8.8",
  "::1",
  "0.0.0.0",
  "::",
  "169.254.169.254",
  "169.254.1.1",
  "168.63.129.16",
  "224.0.0.1",
  "fe80::1",
  "64:ff9b::a9fe:a9fe",
  "64:ff9b::7f00:1",
  "64:ff9b::a83f:8110",
  "fd00:ec2::254",
  "febf::1",
  // The same as IPv4-mapped IPv6 addresses.
  "::ffff:127.0.0.1",
  "::FFFF:169.254.169.254",
  "::ffff:168.63.129.16",
  "::ffff:a9fe:a9fe",
  "::ffff:7f00:1",
  "0:0:0:0:0:ffff:a9fe:a9fe",
  // IPv4-compatible, IPv4-translated, NAT64 and 6to4.
  "::7f00:1",
  "::169.254.169.254",
  "::ffff:0:a9fe:a9fe",
  "64:ff9b::127.0.0.1",
  "64:ff9b:1::a9fe:a9fe",
  "2002:a9fe:a9fe::1",
  "2002:7f00:1::",
  // Reserved, shared and for benchmarks.
  "240.0.0.1",
  "255.255.255.255",
  "100.64.0.1",
  "100.127.255.254",
  "198.18.0.1",
  "192.0.0.8",
  "fec0::1",
  "ff02::1",
  "::ffff:100.64.0.1",
];
const allowed = [
  "10.0.0.4",
  "168.63.129.17",
  "20.60.1.1",
  "2603:1030::1",
  "64:ff9b::1439:101",
  "::ffff:10.0.0.4",
  "100.63.255.255",
  "100.128.0.1",
  "2002:1439:101::1",
  "2001:db8::7f00:1",
];

describe("an address", () => {
  it.each(blocked)("%s is refused as it is written", (address) => {
    const { check } = createAgents(policy);
    for (const written of address.includes(":") ? [address, `[${address}]`] : [address]) {
      expect(() => check(written)).toThrow(expect.objectContaining({ code: "HOST_NOT_ALLOWED" }));
    }
  });

  it.each(blocked)("%s is refused when a name resolves to it", async (address) => {
    await expect(lookUp("models.example", [address])).rejects.toMatchObject({
      code: "HOST_NOT_ALLOWED",
      message:
        "models.example has an address that is not allowed (loopback, link-local, metadata, reserved, or in the operator's deniedNetworks): name a registry or store outside these networks",
    });
  });

  it.each(allowed)("%s is allowed", async (address) => {
    expect(() => createAgents(policy).check(address)).not.toThrow();
    await expect(lookUp("models.example", [address])).resolves.toBe(address);
  });
});

describe("a network that the operator's configuration denies", () => {
  const rules = { ...policy, deniedNetworks: ["10.0.0.0/8", "fd00::/8"] };

  it.each(["10.1.2.3", "fd12::1", "::ffff:10.1.2.3", "64:ff9b::10.1.2.3", "2002:a01:203::1"])(
    "has no host for an AIApp (%s)",
    async (address) => {
      expect(() => createAgents(rules).check(address)).toThrow("deniedNetworks");
      await expect(lookUp("models.example", [address], {}, rules)).rejects.toMatchObject({
        code: "HOST_NOT_ALLOWED",
      });
    },
  );

  it("leaves others alone", () => {
    expect(() => createAgents(rules).check("11.0.0.1")).not.toThrow();
  });
});

describe("a name", () => {
  it("is refused when one of its addresses is: the next attempt may use another", async () => {
    const found = lookUp("models.example", ["20.60.1.1", "169.254.169.254"], { all: true });
    await expect(found).rejects.toMatchObject({ code: "HOST_NOT_ALLOWED" });
  });

  it("resolves to all its addresses when all are requested", async () => {
    await expect(lookUp("a.example", ["20.60.1.1", "2603::1"], { all: true })).resolves.toEqual([
      { address: "20.60.1.1", family: 4 },
      { address: "2603::1", family: 6 },
    ]);
  });

  it("is looked up when a connection is made, not before", () => {
    expect(() => createAgents(policy).check("localhost")).not.toThrow();
  });

  it.each(["2130706433", "0x7f.1", "localhost"])(
    "is checked by the address that the system resolves it to (%s)",
    async (name) => {
      const found = new Promise((resolve, reject) => {
        createAgents(policy).lookup(name, {}, (error, address) =>
          error === null ? resolve(address) : reject(error),
        );
      });
      await expect(found).rejects.toMatchObject({ code: "HOST_NOT_ALLOWED" });
    },
  );

  it("that does not exist is an error of the lookup", async () => {
    const unknown = Object.assign(new Error("unknown"), { code: "ENOTFOUND" });
    await expect(lookUp("nowhere.example", [], {}, policy, unknown)).rejects.toBe(unknown);
  });
});

describe("loopback", () => {
  const rules = { ...policy, allowLoopback: true };

  it.each(["127.0.0.1", "::1", "::ffff:127.0.0.1"])("may be allowed (%s)", async (address) => {
    expect(() => createAgents(rules).check(address)).not.toThrow();
    await expect(lookUp("localhost", [address], {}, rules)).resolves.toBe(address);
  });

  it.each(["169.254.169.254", "168.63.129.16", "::ffff:169.254.169.254"])(
    "allowed does not allow %s",
    (address) => {
      expect(() => createAgents(rules).check(address)).toThrow("link-local");
    },
  );
});

it("connections of both kinds look names up by these rules", () => {
  const { http, https, lookup } = createAgents(policy);
  for (const agent of [http, https])
    expect(Reflect.get(agent, "options")).toMatchObject({ lookup });
});

it("is contacted over http only when this very host and port is listed", () => {
  const rules = { ...policy, insecureHosts: new Set(["store.example:10000"]) };
  expect(schemeOf("store.example:10000", rules)).toBe("http");
  expect(schemeOf("store.example", rules)).toBe("https");
});

describe("a request that reads", () => {
  const reset = Object.assign(new Error("reset"), { code: "ECONNRESET" });

  it("is sent once more when a kept-alive connection was closed, and no more", async () => {
    const ask = vi
      .fn<() => Promise<string>>()
      .mockRejectedValueOnce(reset)
      .mockResolvedValueOnce("answer");
    await expect(retryOnConnectionReset(ask)).resolves.toBe("answer");
    const always = vi.fn<() => Promise<string>>().mockRejectedValue(reset);
    await expect(retryOnConnectionReset(always)).rejects.toBe(reset);
    expect(always).toHaveBeenCalledTimes(2);
  });

  it("is not sent again for any other error", async () => {
    const refused = Object.assign(new Error("refused"), { code: "ECONNREFUSED" });
    const ask = vi.fn<() => Promise<string>>().mockRejectedValue(refused);
    await expect(retryOnConnectionReset(ask)).rejects.toBe(refused);
    expect(ask).toHaveBeenCalledTimes(1);
  });
});
