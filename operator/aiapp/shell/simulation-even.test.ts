import { describe } from "vitest";

import { itSimulates } from "./simulated-seeds.testing.ts";

describe("a simulation of pushes, faults, crashes and what users ask", () => {
  itSimulates("keeps the invariants at every write", [2, 4, 6, 8, 10], { hours: 200 });
});
