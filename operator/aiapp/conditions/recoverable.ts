import type { AIApp } from "../../../crds/aiapp/aiapp.ts";
import type { KeptStatus } from "../../../crds/aiapp/status.ts";
import { reportedKept, type RecordedView } from "../observed.ts";
import type { Ledger } from "../release/ledger.ts";
import type { ReleaseRecord } from "../release/record.ts";
import { isFalse, isTrue, type Check } from "./findings.ts";

/** Whether what the current and the previous release were made of is still there: at its source, or as a copy. */

/** A pod that restarts where the image or the model is not cached would find it gone. */
export const recordedImageGone: Check = ({ observed, ledger }) => {
  const found = observed.recorded.find(({ image }) => image.error?.code === "IMAGE_NOT_FOUND");
  return (
    found &&
    isFalse(
      "ImageGone",
      `the registry no longer has ${found.image.reference}, which ${nameOf(found.record, ledger)} needs: a pod that starts on another node cannot pull it; push it again, or release another image`,
    )
  );
};

function describeLoss({ model, record }: RecordedView, ledger: Ledger): string {
  const what = model.error?.code === "MODEL_NOT_FOUND" ? "no longer has" : "has other files at";
  return `the model store ${what} ${model.reference}, which ${nameOf(record, ledger)} needs`;
}

/** A loss is reported at once: it does not wait until the image has been looked for as well. */
function modelCopy(view: RecordedView, app: AIApp): KeptStatus | undefined {
  return view.kept?.model.value ?? reportedKept(view, app)?.model;
}

function isModelGone(view: RecordedView, app: AIApp): boolean {
  const { record, model } = view;
  return (
    model.error?.code === "MODEL_NOT_FOUND" ||
    (model.value !== undefined && model.value.digest !== record.modelDigest) ||
    // The manifest is as it was, and a file that it lists is not.
    modelCopy(view, app)?.state === "Lost"
  );
}

function isModelKept(view: RecordedView, app: AIApp): boolean {
  return modelCopy(view, app)?.state === "Kept";
}

export const recordedModelGone: Check = ({ observed: { app, recorded }, ledger }) => {
  const found = recorded.find((view) => isModelGone(view, app) && !isModelKept(view, app));
  if (found === undefined) return undefined;
  const why = modelCopy(found, app)?.message;
  const copy = why === undefined ? "" : ` (no copy is kept: ${why})`;
  return isFalse(
    "ModelGone",
    `${describeLoss(found, ledger)}: a pod that starts cannot pull its model${copy}; publish the version as it was, or release another one`,
  );
};

/** The container that pulls the model has an image of its own. */
export const pullImageGone: Check = ({ observed, ledger }) => {
  const found = observed.recorded.find(
    ({ puller }) =>
      puller?.error?.code === "IMAGE_NOT_FOUND" &&
      // Without a login, a registry may hide what nodes can pull: only what has been there is gone.
      (puller.isConclusive || puller.value !== undefined),
  );
  return (
    found &&
    isFalse(
      "PullImageGone",
      `the registry no longer has ${found.puller?.reference}, the image that pulls the model of ${nameOf(found.record, ledger)}: a pod that starts on another node cannot pull its model; push it again, or release again so that pods get the image of the operator's present version`,
    )
  );
};

/** What is lost at its source is there as a copy. */
export const keptAlone: Check = ({ observed: { app, recorded }, ledger }) => {
  const found = recorded.find((view) => isModelGone(view, app) && isModelKept(view, app));
  return (
    found &&
    isTrue(
      "Kept",
      `${describeLoss(found, ledger)}: pods that start pull the copy at ${modelCopy(found, app)?.message}`,
    )
  );
};

function nameOf({ id }: ReleaseRecord, { stable }: Ledger): string {
  return `the ${id === stable?.id ? "current" : "previous"} release ${id}`;
}

export const recoverable: Check = ({ observed: { app, recorded } }) => {
  const notKept = recorded.flatMap((view) => {
    const { image, model } = reportedKept(view, app) ?? {};
    return [image, model].flatMap((copy) =>
      copy?.state === "Refused" || copy?.state === "Impossible" ? [copy.message] : [],
    );
  });
  return isTrue(
    "Recoverable",
    [
      "image and model of the current and the previous release are at their sources",
      ...new Set(notKept.map((message) => `not kept: ${message}`)),
    ].join("; "),
  );
};
