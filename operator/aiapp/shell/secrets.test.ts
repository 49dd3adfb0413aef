import { describe, expect, it } from "vitest";

import { ShellStage } from "./stage.testing.ts";

/** Secrets that AIApps name, in the operator's shell. */

const APPS = 2;

async function released(): Promise<ShellStage> {
  const stage = await ShellStage.open({ modelVersion: "1", interval: "10m" }, APPS);
  await stage.arm();
  await stage.settle();
  return stage;
}

const reasonsOf = (stage: ShellStage): Promise<readonly (string | undefined)[]> =>
  Promise.all(
    stage.apps.map(async (app) => {
      const { conditions = [] } = await app.status();
      return conditions.find(({ type }) => type === "SourcesReady")?.reason;
    }),
  );

describe("a Secret that is deleted while its apps are at rest", () => {
  it("shows in each of them within a minute, however long their interval is", async () => {
    const stage = await released();
    expect(await reasonsOf(stage)).toEqual(["Polled", "Polled"]);
    await stage.deleteLogin();
    await stage.run(60_000);
    expect(await reasonsOf(stage)).toEqual(["SecretNotFound", "SecretNotFound"]);
    await stage.close();
  });

  it("is not looked for once they are deleted", async () => {
    const stage = await released();
    for (const app of stage.apps) await stage.remove(app);
    await stage.run(60_000);
    const reads = stage.count("any");
    await stage.run(3_600_000);
    expect(stage.count("any")).toBe(reads);
    await stage.close();
  });
});
