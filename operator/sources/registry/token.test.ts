import { describe, expect, it } from "vitest";

import { parseToken } from "./token.ts";

function jwt(claims: object): string {
  return `e30.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.signature`;
}

function usable(body: object): number | undefined {
  return parseToken(JSON.stringify(body))?.usableMs;
}

describe("a registry token", () => {
  it.each([{ token: "a" }, { access_token: "a" }, { token: "a", access_token: "b" }])(
    "is read from %j",
    (body) => expect(parseToken(JSON.stringify(body))?.token).toBe("a"),
  );

  it.each([
    { what: "what it states", body: { token: "a", expires_in: 300 }, ms: 280_000 },
    { what: "a minute at least", body: { token: "a", expires_in: 1 }, ms: 40_000 },
    { what: "an hour at most", body: { token: "a", expires_in: 86_400 }, ms: 3_580_000 },
    { what: "a minute when it states nothing", body: { token: "a" }, ms: 40_000 },
    { what: "what its claims state", body: { token: jwt({ iat: 100, exp: 400 }) }, ms: 280_000 },
    { what: "a minute with other claims", body: { token: jwt({ exp: 400 }) }, ms: 40_000 },
  ])("is valid for $what, and replaced 20 s before", ({ body, ms }) => {
    expect(usable(body)).toBe(ms);
  });

  it.each(["", "{", "[]", "{}", '{"token": 1}', "<html>"])("is not in %j", (body) => {
    expect(parseToken(body)).toBeUndefined();
  });
});
