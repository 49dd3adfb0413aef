import type { Freeze } from "../release/freeze.ts";
import { bump, failVersion, settle, type Scenario } from "./scenario.testing.ts";
import { notifications } from "./stage.testing.ts";

const MINUTE_MS = 60_000;
const FREEZE: Freeze = {
  name: "year-end",
  reason: "no changes before the holidays",
  selector: {},
  time: { type: "Once", from: -Infinity, until: Infinity },
};

/** When releases are made, and who is notified of them. */
export const timingScenarios: readonly Scenario[] = [
  {
    name: "a webhook is notified of a good release and of a bad one",
    spec: { notifications },
    prepare: settle,
    play: async (stage) => {
      stage.judges.verify = failVersion("3");
      await bump(stage);
      await stage.publish({ versions: ["1", "2", "3"] });
      await stage.settle();
    },
  },
  {
    name: "a webhook fails while releases are made, and responds again",
    spec: { notifications },
    prepare: async (stage) => {
      await stage.settle();
      stage.failWebhook(true);
    },
    play: async (stage) => {
      await bump(stage);
      stage.failWebhook(false);
      await stage.settle();
    },
  },
  {
    name: "a release waits for its window",
    prepare: async (stage) => {
      await stage.settle();
      // Scenarios begin at 08:00.
      await stage.change({ release: { schedule: "20 8 * * *", duration: "2h" } });
      await stage.settle();
    },
    play: async (stage) => {
      await stage.publish({ versions: ["1", "2"] });
      await stage.until("Scheduled");
      await stage.pass(20 * MINUTE_MS);
      await stage.settle();
    },
  },
  {
    name: "a freeze holds a release back, and is lifted",
    prepare: async (stage) => {
      await stage.settle();
      stage.freeze([FREEZE]);
    },
    play: async (stage) => {
      await stage.publish({ versions: ["1", "2"] });
      await stage.until("Scheduled");
      await stage.settle();
      stage.freeze([]);
      await stage.settle();
    },
  },
  {
    name: "a freeze begins during a rollout, which is finished",
    prepare: settle,
    play: async (stage) => {
      await stage.publish({ versions: ["1", "2"] });
      await stage.until("RollingOut");
      stage.freeze([FREEZE]);
      await stage.publish({ versions: ["1", "2", "3"] });
      await stage.settle();
    },
  },
];
