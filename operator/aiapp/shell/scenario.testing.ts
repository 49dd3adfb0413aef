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

/** Two releases, of which the second one serves. */
export async function two(stage: Stage): Promise<void> {
  await stage.settle();
  await stage.publish({ versions: ["1", "2"] });
  await stage.settle();
}
