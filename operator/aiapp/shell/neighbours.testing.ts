import { annotations } from "../../../crds/names.ts";
import { defaultSpec, notifications, type Stage } from "./stage.testing.ts";
import type { Scenario } from "./scenario.testing.ts";

/** Two apps in one namespace follow one image and one model, and name one Secret. Both sources change. */
function bothBump(what: string, meanwhile: (stage: Stage) => Promise<void>): Scenario {
  return {
    name: `two apps bump, and ${what}`,
    apps: 2,
    spec: { notifications },
    prepare: async (stage) => {
      await stage.settle();
      stage.judges.verify = ({ inputs }) =>
        inputs.env?.some(({ value }) => value === "bad") === true
          ? "VerificationFailed: result[0]: expected 1, got 2"
          : undefined;
    },
    play: async (stage) => {
      await stage.publish({ image: "image 2", versions: ["1", "2"] });
      await meanwhile(stage);
      await stage.settle();
    },
  };
}

export const bothCrash = bothBump("the pods of both crash", async (stage) => {
  stage.judges.serve = ({ modelVersion }) =>
    modelVersion === "2" ? "Error: cannot serve" : undefined;
});

export const undisturbed = bothBump("nothing else happens", async () => {});

/** Something happens to the first one. The second one ends as if it had not. */
export const neighbours: readonly Scenario[] = [
  bothBump("the spec of one is bad", (stage) =>
    stage.change({ env: [{ name: "LEVEL", value: "bad" }] }),
  ),
  bothBump("one names a Secret that is not there", (stage) =>
    stage.change({ credentials: { ...defaultSpec.credentials, storage: "gone" } }),
  ),
  bothBump("one is held during its rollout", async (stage) => {
    await stage.until("RollingOut");
    const { id } = await stage.release(({ modelVersion }) => modelVersion === "1");
    await stage.annotate(annotations.hold, id);
  }),
  bothBump("one is deleted during its rollout", async (stage) => {
    await stage.until("RollingOut");
    await stage.remove();
  }),
];
