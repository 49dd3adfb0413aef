import { annotations } from "../../../crds/names.ts";
import { puller } from "../observed.testing.ts";
import {
  BAD,
  bump,
  failVersion,
  giveUpIn,
  holdFirst,
  isImage,
  isVersion,
  removeIn,
  settle,
  supersedeIn,
  two,
  type Scenario,
} from "./scenario.testing.ts";
import { strategyScenarios } from "./strategy-scenarios.testing.ts";
import { timingScenarios } from "./timing-scenarios.testing.ts";

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

export const scenarios: readonly Scenario[] = [
  ...strategyScenarios,
  { name: "the first release", play: settle },
  {
    name: "the first release, without verification",
    spec: { verify: { enabled: false }, replicas: 2 },
    play: settle,
  },
  {
    name: "a bump of the model",
    prepare: settle,
    play: bump,
  },
  {
    name: "a bump of the model, verified in the place of a pod",
    spec: { replicas: 2, verify: { placement: "InPlace" } },
    prepare: settle,
    play: bump,
  },
  {
    name: "a bad model, verified in the place of the only pod",
    spec: { verify: { placement: "InPlace" } },
    prepare: settle,
    play: async (stage) => {
      stage.judges.verify = failVersion("2");
      await bump(stage);
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
        service: { grpcPort: 9000 },
      });
      await stage.settle();
    },
  },
  {
    name: "the first release fails its verification, and a better one follows",
    play: async (stage) => {
      stage.judges.verify = failVersion("1");
      await stage.settle();
      await bump(stage);
    },
  },
  {
    name: "a verification fails",
    prepare: settle,
    play: async (stage) => {
      stage.judges.verify = failVersion("2");
      await bump(stage);
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
      await bump(stage);
    },
  },
  {
    name: "the pods of a rollout crash, and it is undone",
    spec: { replicas: 2 },
    prepare: settle,
    play: async (stage) => {
      stage.judges.serve = failVersion("2");
      await bump(stage);
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
    play: supersedeIn("Verifying"),
  },
  {
    name: "the spec supersedes a rollout",
    spec: { modelVersion: "1" },
    prepare: settle,
    play: supersedeIn("RollingOut"),
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
      await holdFirst(stage);
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
    play: giveUpIn("Verifying"),
  },
  {
    name: "a release is given up while it is rolled out",
    prepare: settle,
    play: giveUpIn("RollingOut"),
  },
  {
    name: "a release is approved",
    prepare: async (stage) => {
      await stage.settle();
      await stage.change({ release: { approval: "Manual" } });
      await stage.settle();
    },
    play: async (stage) => {
      await bump(stage);
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
    play: holdFirst,
  },
  {
    name: "a release settles before it is verified",
    prepare: async (stage) => {
      await stage.settle();
      await stage.change({ release: { settle: "30s" } });
      await stage.settle();
    },
    play: bump,
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
      await bump(stage);
    },
  },
  ...timingScenarios,
  {
    name: "the app is deleted during a verification",
    isShellOnly: true,
    prepare: settle,
    play: removeIn("Verifying"),
  },
  {
    name: "the app is deleted during a rollout",
    isShellOnly: true,
    prepare: settle,
    play: removeIn("RollingOut"),
  },
];
