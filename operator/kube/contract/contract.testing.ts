import { afterAll, beforeAll, beforeEach, describe } from "vitest";

import { describeAIApp } from "./aiapp.testing.ts";
import { describeApply } from "./apply.testing.ts";
import { createCases, type OpenKube } from "./cases.testing.ts";
import { describeKinds } from "./kinds.testing.ts";
import { describeReading } from "./reading.testing.ts";
import { describeWatching } from "./watching.testing.ts";
import { describeWrites } from "./writes.testing.ts";

/** What the operator needs of the Kubernetes API, held to the real API server and to the fake alike. */
export function describeKube(name: string, open: () => Promise<OpenKube>): void {
  describe(`the contract of Kube, by ${name}`, () => {
    const cases = createCases();
    beforeAll(async () => cases.use(await open()));
    beforeEach(() => cases.next());
    afterAll(() => cases.close());

    describeReading(cases);
    describeWatching(cases);
    describeApply(cases);
    describeAIApp(cases);
    describeKinds(cases);
    describeWrites(cases);
  });
}
