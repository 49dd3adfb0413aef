import { describe, expect, it } from "vitest";

import { errorOf, messageIn } from "./response.ts";

const codeOf = (status: number, message: string): string =>
  errorOf(status, "PATCH", "/apis/x", message).code;

describe("a response that is no success", () => {
  it.each([
    [400, "KUBE_INVALID"],
    [401, "KUBE_FORBIDDEN"],
    [403, "KUBE_FORBIDDEN"],
    [404, "KUBE_NOT_FOUND"],
    [409, "KUBE_CONFLICT"],
    [410, "KUBE_GONE"],
    [418, "KUBE_UNEXPECTED_RESPONSE"],
    [422, "KUBE_INVALID"],
    [429, "KUBE_THROTTLED"],
    [500, "KUBE_UNAVAILABLE"],
    [503, "KUBE_UNAVAILABLE"],
  ])("with status %i is %s", (status, code) => {
    expect(codeOf(status, "something")).toBe(code);
  });

  it("is a fault of the object, though the status is 500, when the object does not fit its type", () => {
    expect(codeOf(500, "failed to create typed patch object (a/b): .spec.x: unknown")).toBe(
      "KUBE_INVALID",
    );
    const quantity =
      "failed to convert new object (a/b; apps/v1, Kind=Deployment) to proper version: unable to convert unstructured object to apps/v1, Kind=Deployment: quantities must match the regular expression";
    expect(codeOf(500, quantity)).toBe("KUBE_INVALID");
  });

  it("is a conflict, though the status is 422, when another object has taken the name", () => {
    const message =
      'Secret "a" is invalid: metadata.uid: Invalid value: "1111": field is immutable';
    expect(codeOf(422, message)).toBe("KUBE_CONFLICT");
    expect(codeOf(422, 'metadata.labels: Invalid value: "x": field is immutable')).toBe(
      "KUBE_INVALID",
    );
  });

  it("says how long to wait, at most five minutes", () => {
    const waits = (header: string | null): number | undefined =>
      errorOf(429, "GET", "/api", "slow down", header).retryAfterMs;
    expect(waits("7")).toBe(7000);
    expect(waits("86400")).toBe(300_000);
    expect(waits("Wed, 21 Oct 2026 07:28:00 GMT")).toBe(1000);
    expect(waits(null)).toBeUndefined();
  });

  it("is quoted in part when it is long or no Status", () => {
    expect(messageIn('{"kind":"Status","message":"no"}')).toBe("no");
    expect(messageIn(`<html>${"x".repeat(10_000)}`)).toHaveLength(500);
    expect(errorOf(500, "GET", "/api", "x".repeat(10_000)).message).toHaveLength(2000);
  });
});
