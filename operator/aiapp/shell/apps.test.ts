import { describe } from "vitest";

import { itSimulates } from "./simulated-seeds.testing.ts";

/** `npm run simulate -- --apps 3 --seed N --hours H` runs it for longer. */
describe("apps that follow one image and one model", () => {
  itSimulates(
    "each keep the invariants, and are not changed by what happens to another",
    [1, 2, 4],
    { hours: 20, apps: 3 },
  );
});
