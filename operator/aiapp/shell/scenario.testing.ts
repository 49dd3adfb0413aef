import type { Phase } from "../../../crds/aiapp/status.ts";
import { annotations } from "../../../crds/names.ts";
import { digestOf, type SpecInput } from "../observed.testing.ts";
import type { ReleaseRecord } from "../release/record.ts";
import type { Stage } from "./stage.testing.ts";

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

export const BAD = "VerificationFailed: result[0]: expected 1, got 2";

export function isVersion(version: string): (record: ReleaseRecord) => boolean {
  return ({ modelVersion }) => modelVersion === version;
}

export function isImage(image: string): (record: ReleaseRecord) => boolean {
  return ({ imageDigest }) => imageDigest === digestOf(image);
}

export function failVersion(version: string): (record: ReleaseRecord) => string | undefined {
  return (record) => (isVersion(version)(record) ? BAD : undefined);
}

export async function settle(stage: Stage): Promise<void> {
  await stage.settle();
}

type Play = Scenario["play"];

/** The model's second version is published. */
export async function bump(stage: Stage): Promise<void> {
  await stage.publish({ versions: ["1", "2"] });
  await stage.settle();
}

/** Two releases, of which the second one serves. */
export async function two(stage: Stage): Promise<void> {
  await stage.settle();
  await bump(stage);
}

/** The first release is held. */
export async function holdFirst(stage: Stage): Promise<void> {
  const { id } = await stage.release(isVersion("1"));
  await stage.annotate(annotations.hold, id);
  await stage.settle();
}

/** The release of the second version is given up. */
export function giveUpIn(phase: Phase): Play {
  return async (stage) => {
    await stage.publish({ versions: ["1", "2"] });
    await stage.until(phase);
    const { id } = await stage.release(isVersion("2"));
    await stage.annotate(annotations.abort, id);
    await stage.settle();
  };
}

/** The spec names the second version, and then the third. */
export function supersedeIn(phase: Phase): Play {
  return async (stage) => {
    await stage.publish({ versions: ["1", "2", "3"] });
    await stage.change({ modelVersion: "2" });
    await stage.until(phase);
    await stage.change({ modelVersion: "3" });
    await stage.settle();
  };
}

/** The app is deleted while the second version is released. */
export function removeIn(phase: Phase): Play {
  return async (stage) => {
    await stage.publish({ versions: ["1", "2"] });
    await stage.until(phase);
    await stage.remove();
    await stage.settle();
  };
}
