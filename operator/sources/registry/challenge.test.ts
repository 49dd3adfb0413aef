import { describe, expect, it } from "vitest";

import { parseChallenge, scopeFor } from "./challenge.ts";

describe("a challenge", () => {
  it("is read with its parameters", () => {
    const { scheme, parameters } = parseChallenge(
      'Bearer realm="https://r.example/token",service="r.example", scope="repository:cats:pull,push"',
    );
    expect(scheme).toBe("bearer");
    expect(Object.fromEntries(parameters)).toEqual({
      realm: "https://r.example/token",
      service: "r.example",
      scope: "repository:cats:pull,push",
    });
  });

  it.each(["", "Basic", 'basic realm="x"', "BASIC"])("of any form is read: %j", (header) => {
    expect(["", "basic"]).toContain(parseChallenge(header).scheme);
  });

  it.each([
    ["repository:cats:pull", "repository:cats:pull"],
    ["repository:cats:metadata_read", "repository:cats:metadata_read"],
    ["repository:cats:pull,metadata_read", "repository:cats:pull,metadata_read"],
    ["repository:cats:pull,push", "repository:cats:pull"],
    ["repository:dogs:pull", "repository:cats:pull"],
    ["registry:catalog:*", "repository:cats:pull"],
    ["repository:cats:pull repository:dogs:pull", "repository:cats:pull"],
    ["", "repository:cats:pull"],
  ])("of the scope %j gets a token for %s", (scope, requested) => {
    expect(scopeFor(parseChallenge(`Bearer scope="${scope}"`), "cats")).toBe(requested);
  });
});
