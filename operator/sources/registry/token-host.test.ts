import { describe, expect, it } from "vitest";

import { parseChallenge } from "./challenge.ts";
import { apiHost, tokenUrl } from "./token-host.ts";

const policy = { insecureHosts: new Set(["127.0.0.1:5000"]), allowLoopback: false };
const tokenHosts = new Map([["registry.corp.example", "gitlab.corp.example"]]);

function hostOf(registry: string, realm: string): string {
  const challenge = parseChallenge(`Bearer realm="${realm}"`);
  return tokenUrl(challenge, registry, { policy, tokenHosts }).host;
}

describe("a token endpoint", () => {
  it.each([
    ["contoso.azurecr.io", "https://contoso.azurecr.io/oauth2/token"],
    ["Contoso.azurecr.io", "https://contoso.azurecr.io/oauth2/token"],
    ["r.example:5000", "https://r.example:5000/token"],
    ["r.example:443", "https://r.example/token"],
    ["127.0.0.1:5000", "http://127.0.0.1:5000/token"],
    ["ghcr.io", "https://ghcr.io/token"],
    ["docker.io", "https://auth.docker.io/token"],
    ["registry-1.docker.io", "https://auth.docker.io/token"],
    ["registry.gitlab.com", "https://gitlab.com/jwt/auth"],
    ["registry.digitalocean.com", "https://api.digitalocean.com/v2/registry/auth"],
    ["registry.corp.example", "https://gitlab.corp.example/jwt/auth"],
  ])("of %s may be %s", (registry, realm) => {
    expect(hostOf(registry, realm)).toBe(new URL(realm).host);
  });

  it.each([
    ["contoso.azurecr.io", "https://evil.azurecr.io/oauth2/token"],
    ["registry.bank.co.uk", "https://evil.co.uk/token"],
    ["registry.example", "https://auth.example/token"],
    ["r.example:5000", "https://r.example/token"],
    ["r.example", "https://r.example:8443/token"],
    ["r.example", "https://r.example.evil.example/token"],
    ["r.example", "https://r.example@evil.example/token"],
    ["r.example", "http://r.example/token"],
    ["127.0.0.1:5000", "http://127.0.0.1:5001/token"],
    ["docker.io", "https://docker.io.evil.example/token"],
    ["registry.gitlab.com", "https://auth.docker.io/token"],
    ["registry.corp.example", "https://gitlab.com/jwt/auth"],
    ["r.example", "file:///token"],
    ["r.example", "/token"],
    ["r.example", ""],
  ])("of %s is not %s", (registry, realm) => {
    expect(() => hostOf(registry, realm)).toThrow(
      expect.objectContaining({
        code: "REGISTRY_UNEXPECTED_RESPONSE",
        message: expect.stringMatching(/no credentials were sent; .* registryTokenHosts/),
      }),
    );
  });

  it("may not be missing", () => {
    const challenge = parseChallenge('Bearer service="r.example"');
    expect(() => tokenUrl(challenge, "r.example", { policy })).toThrow("no credentials were sent");
  });

  it("keeps no user and password of the challenge in the message", () => {
    expect(() => hostOf("r.example", "https://me:secret@evil.example/token?sig=secret")).toThrow(
      /^(?!.*secret)/,
    );
  });
});

it("the API of Docker Hub has another host than its references name", () => {
  expect(apiHost("docker.io")).toBe("registry-1.docker.io");
  expect(apiHost("contoso.azurecr.io")).toBe("contoso.azurecr.io");
});
