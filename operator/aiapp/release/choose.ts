import type { AIAppSpec } from "../../../crds/aiapp/spec.ts";
import type { Intents } from "../intents.ts";
import { releaseOf, type Release } from "./identity.ts";
import type { Blame } from "../../../crds/journal.ts";
import { isAnswered, isVerified, phaseOf, type Ledger } from "./ledger.ts";
import type { ReleaseRecord } from "./record.ts";

/** Which release is to be next, and why it is that one. */
export interface Choice {
  /** Undefined: no other than the stable one. */
  readonly release: Release | undefined;
  /** `requested`: what spec and sources say. `half`: a part of it, as the whole failed. `held`: what a person named. */
  readonly as: "requested" | "half" | "held" | "none";
  /** It is verified to find out what failed, not to be rolled out at once. */
  readonly isProbe: boolean;
  /** What made the requested release fail, once that is known. */
  readonly blame: Blame | undefined;
  /** The annotation aiapp.dev/hold names a release that cannot be run: why. */
  readonly invalidHold: string | undefined;
}

const NONE: Choice = {
  release: undefined,
  as: "none",
  isProbe: false,
  blame: undefined,
  invalidHold: undefined,
};

/**
 * Chooses. A hold goes before everything; then what spec and sources ask for, unless it has failed; then, when image and
 * model both changed, the half of it that is good.
 */
export function choose(
  spec: AIAppSpec,
  requested: Release | undefined,
  ledger: Ledger,
  intents: Pick<Intents, "hold" | "retry">,
): Choice {
  if (intents.hold !== undefined) return chooseHeld(intents.hold.id, ledger);
  if (requested === undefined) return NONE;
  const failed = failedRecord(requested.id, ledger, intents);
  if (failed === undefined) return { ...NONE, release: requested, as: "requested" };
  if (ledger.stable === undefined) return { ...NONE, blame: undefined };
  return chooseHalf(spec, requested, failed, ledger);
}

function chooseHeld(id: string, { all, stable }: Ledger): Choice {
  const record = all.find((one) => one.id === id);
  if (record === undefined) {
    const known = all.map((one) => one.id).join(", ");
    return { ...NONE, as: "held", invalidHold: `no release ${id} is recorded (${known})` };
  }
  if (phaseOf(record) === "Failed" && record.id !== stable?.id)
    return { ...NONE, as: "held", invalidHold: `release ${id} has failed` };
  return { ...NONE, release: record, as: "held" };
}

/** The record of a release that has failed and is not to be tried again. */
function failedRecord(
  id: string,
  { all }: Ledger,
  { retry }: Pick<Intents, "retry">,
): ReleaseRecord | undefined {
  const record = all.find((one) => one.id === id);
  if (record === undefined || phaseOf(record) !== "Failed") return undefined;
  const isRetried = retry?.id === id && !isAnswered(record, retry);
  return isRetried ? undefined : record;
}

type CellState = "unknown" | "good" | "bad";

interface Cell {
  readonly release: Release;
  readonly state: CellState;
}

function chooseHalf(
  spec: AIAppSpec,
  requested: Release,
  failed: ReleaseRecord,
  ledger: Ledger,
): Choice {
  const { stable } = ledger;
  // Given up by a person: nothing has been found bad.
  if (stable === undefined || failed.journal.at(-1)?.reason === "Aborted") return NONE;
  const changed = changesOf(spec, requested, stable);
  const single = changed.image !== changed.model || !changed.image;
  const parts = Number(changed.image) + Number(changed.model) + Number(changed.template);
  if (parts <= 1) {
    const blame = changed.image ? "image" : changed.model ? "model" : "template";
    return { ...NONE, blame };
  }
  if (spec.release?.onFailure === "Keep" || spec.verify?.enabled === false) return NONE;
  const cellOf = (image: Release, model: Release): Cell => {
    const pair = {
      image: image.image,
      imageDigest: image.imageDigest,
      modelVersion: model.modelVersion,
      modelDigest: model.modelDigest,
      modelBytes: model.modelBytes,
    };
    const release = releaseOf(spec, pair, model.model);
    return { release, state: stateOf(release.id, ledger) };
  };
  // With the running pair first: a bad template must not blame the pair.
  const template = changed.template ? cellOf(stable, stable) : undefined;
  if (template?.state === "unknown") return probe(template);
  if (template?.state === "bad") return { ...NONE, blame: "template" };
  if (single) {
    const blame = changed.image ? "image" : "model";
    return template === undefined ? { ...NONE, blame } : half(template, blame);
  }
  const newImage = cellOf(requested, stable);
  const newModel = cellOf(stable, requested);
  for (const cell of [newImage, newModel]) if (cell.state === "unknown") return probe(cell);
  if (newImage.state === "good")
    return half(newImage, newModel.state === "good" ? "combination" : "model");
  if (newModel.state === "good") return half(newModel, "image");
  return template === undefined ? { ...NONE, blame: "both" } : half(template, "both");
}

interface Changes {
  readonly image: boolean;
  readonly model: boolean;
  readonly template: boolean;
}

function changesOf(spec: AIAppSpec, requested: Release, stable: ReleaseRecord): Changes {
  const withStablePair = releaseOf(spec, stable, stable.model).id;
  return {
    image: requested.imageDigest !== stable.imageDigest,
    model:
      requested.modelDigest !== stable.modelDigest ||
      requested.modelVersion !== stable.modelVersion ||
      requested.model.store !== stable.model.store ||
      requested.model.name !== stable.model.name,
    template: withStablePair !== stable.id,
  };
}

function stateOf(id: string, { all, stable }: Ledger): CellState {
  const record = all.find((one) => one.id === id);
  if (record === undefined) return "unknown";
  if (record.id === stable?.id) return "good";
  if (phaseOf(record) === "Failed") return "bad";
  return isVerified(record) ? "good" : "unknown";
}

function probe({ release }: Cell): Choice {
  return { ...NONE, release, as: "half", isProbe: true };
}

function half({ release }: Cell, blame: Blame): Choice {
  return { ...NONE, release, as: "half", blame };
}
