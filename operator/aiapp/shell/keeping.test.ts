import { describe, expect, it } from "vitest";

import { MANIFEST } from "../../../crds/bundle.ts";
import { KEPT_FOLDER } from "../../sources/keep/names.ts";
import { ShellStage } from "./stage.testing.ts";

/** What the operator keeps of releases, in its shell with sources in memory. */

const isManifest = (path: string): boolean => path.endsWith(`/${MANIFEST}`);

async function two(spec = {}): Promise<ShellStage> {
  const stage = await ShellStage.open({ modelVersion: "1", ...spec });
  await stage.arm();
  await stage.settle();
  await stage.publish({ versions: ["1", "2"] });
  await stage.change({ modelVersion: "2" });
  await stage.settle();
  return stage;
}

describe("the operator", () => {
  it("keeps the models of the current and the previous release, and of no candidate", async () => {
    const stage = await two();
    stage.judges.verify = () => "VerificationFailed: wrong";
    await stage.publish({ versions: ["1", "2", "3"] });
    await stage.change({ modelVersion: "3" });
    await stage.settle();
    const { current, previous } = await stage.status();
    expect([...stage.sources.kept.blobs.keys()].filter(isManifest)).toEqual(
      [previous, current].map((release) =>
        expect.stringContaining(release?.modelDigest.slice(-64) ?? "none"),
      ),
    );
    expect(current?.kept?.model?.state).toBe("Kept");
    expect(previous?.kept?.model?.state).toBe("Kept");
    await stage.close();
  });

  it("copies within a minute of a release, so that the releases of other apps come first", async () => {
    const stage = await ShellStage.open({ modelVersion: "1" });
    await stage.arm();
    await stage.until("Released");
    const released = stage.clock.now();
    expect(stage.sources.kept.blobs.size).toBe(0);
    while (stage.sources.kept.blobs.size === 0) await stage.run(1000);
    // At a random time: in virtual time it is the middle.
    expect((stage.clock.now() - released) / 1000).toBeCloseTo(30, -1);
    await stage.close();
  });

  it("looks for the copies of an older release as soon as it starts, and writes nothing", async () => {
    const stage = await two();
    await stage.arm();
    await stage.run(1000);
    expect(stage.count("write")).toBe(0);
    await stage.close();
  });

  it("writes nothing either while a store does not answer where the copies are", async () => {
    const stage = await two();
    const { models } = stage.sources;
    const { listFiles } = models;
    Object.assign(models, {
      listFiles: async (...args: Parameters<typeof listFiles>) => {
        if (args[0].name === KEPT_FOLDER)
          await new Promise<void>((resolve) => stage.clock.after(5000, resolve));
        return listFiles(...args);
      },
    });
    await stage.arm();
    await stage.run(30_000);
    expect(stage.count("write")).toBe(0);
    await stage.close();
  });

  it("reports the copy once the version is deleted, also after a restart", async () => {
    const stage = await two();
    await stage.publish({ versions: [] });
    // A new process has nothing in memory.
    await stage.arm();
    await stage.settle();
    const { conditions = [] } = await stage.status();
    expect(conditions.find(({ type }) => type === "Recoverable")).toMatchObject({
      status: "True",
      reason: "Kept",
    });
    await stage.close();
  });

  it("warns when the version is deleted and no copy could be made", async () => {
    const stage = await two({ release: { keep: "Never" } });
    await stage.publish({ versions: [] });
    await stage.arm();
    await stage.settle();
    const { conditions = [], current } = await stage.status();
    expect(conditions.find(({ type }) => type === "Recoverable")).toMatchObject({
      status: "False",
      reason: "ModelGone",
    });
    expect(stage.sources.kept.blobs.size).toBe(0);
    expect(current?.kept).toBeUndefined();
    await stage.close();
  });

  it("writes each copy once, and nothing at rest", async () => {
    const stage = await two();
    const before = new Map(stage.sources.kept.blobs);
    let writes = 0;
    const { copies } = stage.sources;
    Object.assign(copies, {
      copy: async () => Promise.reject(new Error(`copied again, ${(writes += 1)}`)),
      write: async () => Promise.reject(new Error(`written again, ${(writes += 1)}`)),
    });
    await stage.run(3_600_000);
    expect(writes).toBe(0);
    expect(new Map(stage.sources.kept.blobs)).toEqual(before);
    await stage.close();
  });
});
