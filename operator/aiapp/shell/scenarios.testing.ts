import { annotations } from "../../../crds/names.ts";
import { digestOf, puller, type SpecInput } from "../observed.testing.ts";
import type { Freeze } from "../release/freeze.ts";
import type { ReleaseRecord } from "../release/record.ts";
import { notifications, type Stage } from "./stage.testing.ts";

/** A story about one app. Whatever goes wrong while it is played, it ends the same. */
export interface Scenario {
  readonly name: string;
  readonly spec?: SpecInput;
  /** How many apps follow the same sources; what is done is done to the first one. 1 when not given. */
  readonly apps?: number;
  /** What was before: nothing goes wrong in it. */
  readonly prepare?: (stage: Stage) => Promise<void>;
  readonly play: (stage: Stage) => Promise<void>;
  /** What it needs of a cluster, `World` has not. */
  readonly isShellOnly?: true;
}

const MINUTE_MS = 60_000;
const FREEZE: Freeze = {
  name: "year-end",
  reason: "no changes before the holidays",
  selector: {},
  time: { type: "Once", from: -Infinity, until: Infinity },
};
const BAD = "VerificationFailed: result[0]: expected 1, got 2";

function isVersion(version: string): (record: ReleaseRecord) => boolean {
  return ({ modelVersion }) => modelVersion === version;
}

function isImage(image: string): (record: ReleaseRecord) => boolean {
  return ({ imageDigest }) => imageDigest === digestOf(image);
}

function failVersion(version: string): (record: ReleaseRecord) => string | undefined {
  return (record) => (isVersion(version)(record) ? BAD : undefined);
}

async function settle(stage: Stage): Promise<void> {
  await stage.settle();
}

/** Two releases, of which the second one serves. */
async function two(stage: Stage): Promise<void> {
  await stage.settle();
  await stage.publish({ versions: ["1", "2"] });
  await stage.settle();
}

type Fault = "image" | "model" | "both" | "combination" | "template" | "none";

function halves(fault: Fault): Scenario {
  return {
    name: `image and model change together, and ${fault === "none" ? "nothing" : fault} is bad`,
    prepare: async (stage) => {
      await stage.settle();
      // So that spec and sources change at once.
      await stage.change({ suspend: true });
      await stage.publish({ image: "image 2", versions: ["1", "2"] });
      await stage.settle();
    },
    play: async (stage) => {
      stage.judges.verify = (record) => {
        const [image, model] = [isImage("image 2")(record), isVersion("2")(record)];
        const isBad =
          (image && (fault === "image" || fault === "both")) ||
          (model && (fault === "model" || fault === "both")) ||
          (image && model && fault === "combination") ||
          (fault === "template" && (record.inputs.env ?? []).length > 0);
        return isBad ? BAD : undefined;
      };
      const env = fault === "template" ? [{ name: "LEVEL", value: "bad" }] : [];
      await stage.change({ suspend: false, env });
      await stage.settle();
    },
  };
}

function blueGreen(keepPrevious: string): SpecInput {
  return { replicas: 2, rollout: { strategy: "BlueGreen", keepPrevious } };
}

const strategies: readonly Scenario[] = [
  {
    name: "blue-green: a bump, and the previous set is deleted in time",
    spec: blueGreen("20s"),
    prepare: settle,
    play: async (stage) => {
      await stage.publish({ versions: ["1", "2"] });
      await stage.settle();
    },
  },
  {
    name: "blue-green: a hold goes back at once, and is removed",
    spec: blueGreen("10h"),
    prepare: two,
    play: async (stage) => {
      const { id } = await stage.release(isVersion("1"));
      await stage.annotate(annotations.hold, id);
      await stage.settle();
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
    play: async (stage) => {
      await stage.publish({ versions: ["1", "2", "3"] });
      await stage.change({ modelVersion: "2" });
      await stage.until("RollingOut");
      await stage.change({ modelVersion: "3" });
      await stage.settle();
    },
  },
  {
    name: "blue-green: an autoscaler's number moves with the switch",
    spec: {
      ...blueGreen("20s"),
      replicas: undefined,
      autoscaling: { minReplicas: 2, maxReplicas: 5, targetCPUUtilization: 80 },
    },
    prepare: settle,
    play: async (stage) => {
      await stage.publish({ versions: ["1", "2"] });
      await stage.settle();
    },
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
    play: async (stage) => {
      await stage.publish({ versions: ["1", "2"] });
      await stage.settle();
    },
  },
  {
    name: "canary: its pods crash, and a better release follows",
    spec: canary,
    prepare: settle,
    play: async (stage) => {
      stage.judges.serve = failVersion("2");
      await stage.publish({ versions: ["1", "2"] });
      await stage.settle();
      await stage.publish({ versions: ["1", "2", "3"] });
      await stage.settle();
    },
  },
  {
    name: "canary: it is given up",
    spec: canary,
    prepare: settle,
    play: async (stage) => {
      await stage.publish({ versions: ["1", "2"] });
      await stage.until("RollingOut");
      const { id } = await stage.release(isVersion("2"));
      await stage.annotate(annotations.abort, id);
      await stage.settle();
    },
  },
  {
    name: "canary: a hold goes back at once",
    spec: canary,
    prepare: two,
    play: async (stage) => {
      const { id } = await stage.release(isVersion("1"));
      await stage.annotate(annotations.hold, id);
      await stage.settle();
    },
  },
];

export const scenarios: readonly Scenario[] = [
  ...canaries,
  ...strategies,
  { name: "the first release", play: settle },
  {
    name: "the first release, without verification",
    spec: { verify: { enabled: false }, replicas: 2 },
    play: settle,
  },
  {
    name: "a bump of the model",
    prepare: settle,
    play: async (stage) => {
      await stage.publish({ versions: ["1", "2"] });
      await stage.settle();
    },
  },
  {
    name: "a bump of the model, verified in the place of a pod",
    spec: { replicas: 2, verify: { placement: "InPlace" } },
    prepare: settle,
    play: async (stage) => {
      await stage.publish({ versions: ["1", "2"] });
      await stage.settle();
    },
  },
  {
    name: "a bad model, verified in the place of the only pod",
    spec: { verify: { placement: "InPlace" } },
    prepare: settle,
    play: async (stage) => {
      stage.judges.verify = failVersion("2");
      await stage.publish({ versions: ["1", "2"] });
      await stage.settle();
    },
  },
  {
    name: "a bump of the image",
    spec: { replicas: 2 },
    prepare: settle,
    play: async (stage) => {
      await stage.publish({ image: "image 2" });
      await stage.settle();
    },
  },
  {
    name: "a change of the spec",
    prepare: settle,
    play: async (stage) => {
      await stage.change({
        replicas: 3,
        env: [
          { name: "LEVEL", value: "2" },
          { name: "EMPTY", value: "" },
        ],
        resources: { limits: { cpu: "0.5", memory: "1024Mi" } },
      });
      await stage.settle();
    },
  },
  {
    name: "the first release fails its verification, and a better one follows",
    play: async (stage) => {
      stage.judges.verify = failVersion("1");
      await stage.settle();
      await stage.publish({ versions: ["1", "2"] });
      await stage.settle();
    },
  },
  {
    name: "a verification fails",
    prepare: settle,
    play: async (stage) => {
      stage.judges.verify = failVersion("2");
      await stage.publish({ versions: ["1", "2"] });
      await stage.settle();
    },
  },
  {
    name: "a verification fails for want of the store, and is tried again until it passes",
    prepare: settle,
    play: async (stage) => {
      stage.judges.verify = ({ journal }) =>
        journal.filter(({ phase }) => phase === "Verifying").length <= 2
          ? "StorageUnavailable: the store does not respond"
          : undefined;
      await stage.publish({ versions: ["1", "2"] });
      await stage.settle();
    },
  },
  {
    name: "the pods of a rollout crash, and it is undone",
    spec: { replicas: 2 },
    prepare: settle,
    play: async (stage) => {
      stage.judges.serve = failVersion("2");
      await stage.publish({ versions: ["1", "2"] });
      await stage.settle();
    },
  },
  halves("none"),
  halves("image"),
  halves("model"),
  halves("both"),
  halves("combination"),
  halves("template"),
  {
    name: "the spec supersedes a release that is being verified",
    spec: { modelVersion: "1" },
    prepare: settle,
    play: async (stage) => {
      await stage.publish({ versions: ["1", "2", "3"] });
      await stage.change({ modelVersion: "2" });
      await stage.until("Verifying");
      await stage.change({ modelVersion: "3" });
      await stage.settle();
    },
  },
  {
    name: "the spec supersedes a rollout",
    spec: { modelVersion: "1" },
    prepare: settle,
    play: async (stage) => {
      await stage.publish({ versions: ["1", "2", "3"] });
      await stage.change({ modelVersion: "2" });
      await stage.until("RollingOut");
      await stage.change({ modelVersion: "3" });
      await stage.settle();
    },
  },
  {
    name: "the spec goes back while a release is rolled out",
    spec: { modelVersion: "1" },
    prepare: settle,
    play: async (stage) => {
      await stage.publish({ versions: ["1", "2"] });
      await stage.change({ modelVersion: "2" });
      await stage.until("RollingOut");
      await stage.change({ modelVersion: "1" });
      await stage.settle();
    },
  },
  {
    name: "a hold goes back, and is removed",
    prepare: two,
    play: async (stage) => {
      const { id } = await stage.release(isVersion("1"));
      await stage.annotate(annotations.hold, id);
      await stage.settle();
      await stage.publish({ versions: ["1", "2", "3"] });
      await stage.settle();
      await stage.annotate(annotations.hold, undefined);
      await stage.settle();
    },
  },
  {
    name: "a failed release is tried again",
    prepare: async (stage) => {
      await two(stage);
      stage.judges.verify = failVersion("3");
      await stage.publish({ versions: ["1", "2", "3"] });
      await stage.settle();
    },
    play: async (stage) => {
      const { id } = await stage.release(isVersion("3"));
      await stage.annotate(annotations.retry, `${id}/1`);
      await stage.settle();
      stage.judges.verify = () => undefined;
      await stage.annotate(annotations.retry, `${id}/2`);
      await stage.settle();
    },
  },
  {
    name: "a release is given up while it is verified",
    prepare: settle,
    play: async (stage) => {
      await stage.publish({ versions: ["1", "2"] });
      await stage.until("Verifying");
      const { id } = await stage.release(isVersion("2"));
      await stage.annotate(annotations.abort, id);
      await stage.settle();
    },
  },
  {
    name: "a release is given up while it is rolled out",
    prepare: settle,
    play: async (stage) => {
      await stage.publish({ versions: ["1", "2"] });
      await stage.until("RollingOut");
      const { id } = await stage.release(isVersion("2"));
      await stage.annotate(annotations.abort, id);
      await stage.settle();
    },
  },
  {
    name: "a release is approved",
    prepare: async (stage) => {
      await stage.settle();
      await stage.change({ release: { approval: "Manual" } });
      await stage.settle();
    },
    play: async (stage) => {
      await stage.publish({ versions: ["1", "2"] });
      await stage.settle();
      const { id } = await stage.release(isVersion("2"));
      await stage.annotate(annotations.approve, id);
      await stage.settle();
    },
  },
  {
    name: "old releases are forgotten",
    spec: { release: { historyLimit: 1 } },
    prepare: two,
    play: async (stage) => {
      for (const newest of ["3", "4"]) {
        await stage.publish({ versions: ["1", "2", "3", "4"].slice(0, Number(newest)) });
        await stage.settle();
      }
    },
  },
  {
    name: "the operator is upgraded, and an older release comes back",
    prepare: async (stage) => {
      await two(stage);
      await stage.upgrade({ ...puller, image: "example.azurecr.io/operator:2" });
      await stage.settle();
    },
    play: async (stage) => {
      const { id } = await stage.release(isVersion("1"));
      await stage.annotate(annotations.hold, id);
      await stage.settle();
    },
  },
  {
    name: "a release settles before it is verified",
    prepare: async (stage) => {
      await stage.settle();
      await stage.change({ release: { settle: "30s" } });
      await stage.settle();
    },
    play: async (stage) => {
      await stage.publish({ versions: ["1", "2"] });
      await stage.settle();
    },
  },
  {
    name: "the version that serves is deleted from the store",
    spec: { modelVersion: "1" },
    play: async (stage) => {
      await stage.settle();
      await stage.publish({ versions: [] });
      await stage.settle();
    },
  },
  {
    name: "an autoscaler takes the replicas over",
    spec: { replicas: 3 },
    prepare: settle,
    play: async (stage) => {
      await stage.change({
        replicas: undefined,
        autoscaling: { minReplicas: 2, maxReplicas: 5, targetCPUUtilization: 80 },
      });
      await stage.settle();
      await stage.publish({ versions: ["1", "2"] });
      await stage.settle();
    },
  },
  {
    name: "a webhook is notified of a good release and of a bad one",
    spec: { notifications },
    prepare: settle,
    play: async (stage) => {
      stage.judges.verify = failVersion("3");
      await stage.publish({ versions: ["1", "2"] });
      await stage.settle();
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
      await stage.publish({ versions: ["1", "2"] });
      await stage.settle();
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
  {
    name: "the app is deleted during a verification",
    isShellOnly: true,
    prepare: settle,
    play: async (stage) => {
      await stage.publish({ versions: ["1", "2"] });
      await stage.until("Verifying");
      await stage.remove();
      await stage.settle();
    },
  },
  {
    name: "the app is deleted during a rollout",
    isShellOnly: true,
    prepare: settle,
    play: async (stage) => {
      await stage.publish({ versions: ["1", "2"] });
      await stage.until("RollingOut");
      await stage.remove();
      await stage.settle();
    },
  },
];
