import { annotations } from "../../../crds/names.ts";
import type { SpecInput } from "../observed.testing.ts";
import {
  bump,
  failVersion,
  giveUpIn,
  holdFirst,
  settle,
  supersedeIn,
  two,
  type Scenario,
} from "./scenario.testing.ts";

/** What the strategies BlueGreen and Canary do beside Rolling. */

function blueGreen(keepPrevious: string): SpecInput {
  return { replicas: 2, rollout: { strategy: "BlueGreen", keepPrevious } };
}

const blueGreens: readonly Scenario[] = [
  {
    name: "blue-green: a bump, and the previous set is deleted in time",
    spec: blueGreen("20s"),
    prepare: settle,
    play: bump,
  },
  {
    name: "blue-green: a hold goes back at once, and is removed",
    spec: blueGreen("10h"),
    prepare: two,
    play: async (stage) => {
      await holdFirst(stage);
      await stage.annotate(annotations.hold, undefined);
      await stage.settle();
    },
  },
  {
    name: "blue-green: new pods crash before the switch, and a better release follows",
    spec: blueGreen("10h"),
    prepare: two,
    play: async (stage) => {
      stage.judges.serve = failVersion("3");
      await stage.publish({ versions: ["1", "2", "3"] });
      await stage.settle();
      await stage.publish({ versions: ["1", "2", "3", "4"] });
      await stage.settle();
    },
  },
  {
    name: "blue-green: the spec supersedes a rollout",
    spec: { ...blueGreen("20s"), modelVersion: "1" },
    prepare: settle,
    play: supersedeIn("RollingOut"),
  },
  {
    name: "blue-green: an autoscaler's number moves with the switch",
    spec: {
      ...blueGreen("20s"),
      replicas: undefined,
      autoscaling: { minReplicas: 2, maxReplicas: 5, targetCPUUtilization: 80 },
    },
    prepare: settle,
    play: bump,
  },
  {
    name: "blue-green: another strategy is chosen while the candidate set serves",
    spec: blueGreen("10h"),
    prepare: two,
    play: async (stage) => {
      await stage.change({ rollout: { strategy: "Rolling" } });
      await stage.settle();
      await stage.publish({ versions: ["1", "2", "3"] });
      await stage.settle();
    },
  },
];

const canary = {
  replicas: 3,
  rollout: {
    strategy: "Canary",
    canary: {
      steps: [
        { weight: 20, pause: "10s" },
        { weight: 50, pause: "20s" },
      ],
    },
  },
} as const satisfies SpecInput;

const canaries: readonly Scenario[] = [
  {
    name: "canary: a bump goes through its steps",
    spec: canary,
    prepare: settle,
    play: bump,
  },
  {
    name: "canary: its pods crash, and a better release follows",
    spec: canary,
    prepare: settle,
    play: async (stage) => {
      stage.judges.serve = failVersion("2");
      await bump(stage);
      await stage.publish({ versions: ["1", "2", "3"] });
      await stage.settle();
    },
  },
  {
    name: "canary: it is given up",
    spec: canary,
    prepare: settle,
    play: giveUpIn("RollingOut"),
  },
  {
    name: "canary: a hold goes back at once",
    spec: canary,
    prepare: two,
    play: holdFirst,
  },
];

export const strategyScenarios: readonly Scenario[] = [...canaries, ...blueGreens];
