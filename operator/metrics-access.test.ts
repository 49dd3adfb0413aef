import { describe, expect, it } from "vitest";

import { ManualClock } from "./clock.testing.ts";
import type { Access, ReviewAccess } from "./kube/access-review.ts";
import { createLogger } from "./log.ts";
import { createMetricsAccess, type Authorize } from "./metrics-access.ts";

interface World {
  readonly authorize: Authorize;
  readonly clock: ManualClock;
  /** The tokens that the API server was asked about. */
  readonly reviewed: string[];
}

function world(review: ReviewAccess): World {
  const clock = new ManualClock();
  const reviewed: string[] = [];
  const authorize = createMetricsAccess({
    review: (token, path, signal) => {
      reviewed.push(token);
      return review(token, path, signal);
    },
    path: "/metrics",
    clock,
    log: createLogger("silent"),
  });
  return { authorize, clock, reviewed };
}

const answering = (access: Access): World => world(async () => access);

describe("access to metrics", () => {
  it.each([undefined, "", "Basic dXNlcjpwYXNz", "Bearer", "Bearer a b", "Bearer \u0000"])(
    "is denied without a bearer token, and the API server is not asked: %j",
    async (header) => {
      const { authorize, reviewed } = answering("allowed");
      expect(await authorize(header)).toBe(401);
      expect(reviewed).toEqual([]);
    },
  );

  it.each([
    ["allowed", 200],
    ["forbidden", 403],
    ["unauthenticated", 401],
  ] as const)("is what the API server says: %s is %i", async (access, status) => {
    expect(await answering(access).authorize("Bearer x")).toBe(status);
  });

  it("is remembered for a minute when allowed, so that a scrape does not ask each time", async () => {
    const { authorize, clock, reviewed } = answering("allowed");
    await authorize("Bearer x");
    await clock.advance(59_000);
    expect(await authorize("bearer x")).toBe(200);
    expect(reviewed).toEqual(["x"]);
    await clock.advance(2000);
    await authorize("Bearer x");
    expect(reviewed).toEqual(["x", "x"]);
  });

  it("is remembered for ten seconds when denied", async () => {
    const { authorize, clock, reviewed } = answering("forbidden");
    await authorize("Bearer x");
    await clock.advance(11_000);
    await authorize("Bearer x");
    expect(reviewed).toHaveLength(2);
  });

  it("is not remembered when the API server could not be asked", async () => {
    let fails = true;
    const { authorize } = world(async () => {
      if (fails) throw new Error("away");
      return "allowed";
    });
    expect(await authorize("Bearer x")).toBe(503);
    fails = false;
    expect(await authorize("Bearer x")).toBe(200);
  });

  it("ends after five seconds when the API server hangs", async () => {
    const { authorize, clock } = world(
      (_, __, signal) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener("abort", () => reject(signal.reason as Error));
        }),
    );
    const answer = authorize("Bearer x");
    await clock.advance(5001);
    expect(await answer).toBe(503);
  });

  it("asks about at most four tokens at once, and once about each", async () => {
    const open = Promise.withResolvers<Access>();
    const { authorize, reviewed } = world(() => open.promise);
    const answers = Array.from({ length: 1000 }, (_, index) => authorize(`Bearer t${index % 500}`));
    expect(reviewed).toEqual(["t0", "t1", "t2", "t3"]);
    open.resolve("allowed");
    const counts = Object.groupBy(await Promise.all(answers), String);
    expect([counts["200"]?.length, counts["503"]?.length]).toEqual([8, 992]);
  });
});
