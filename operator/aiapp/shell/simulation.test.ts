import { describe, expect, it } from "vitest";

import { itSimulates } from "./simulated-seeds.testing.ts";
import { simulate } from "./simulation.testing.ts";

/** `npm run simulate -- --seeds 20 --hours 100` runs more of it. The even seeds are in a file of their own, for another core. */
describe("a simulation of pushes, faults, crashes and what users ask", () => {
  itSimulates("keeps the invariants at every write", [1, 3, 5, 7, 9], { hours: 200 });

  it("is the same for the same seed", async () => {
    const [one, other] = [
      await simulate({ seed: 9, hours: 5 }),
      await simulate({ seed: 9, hours: 5 }),
    ];
    expect(other).toEqual(one);
    expect((await simulate({ seed: 10, hours: 5 })).events).not.toEqual(one.events);
  });
});
