import type { NotifiedRelease, ReleaseNotice } from "../../crds/notification.ts";

/** What a message shows below its summary, in this order. */
export interface Fact {
  readonly title: string;
  readonly value: string;
}

const MAX_VALUE = 1000;

export function factsOf(notice: ReleaseNotice): readonly Fact[] {
  const { app, release, before, changed, reason, message, blame, requestedBy, action } = notice;
  const was = (part: (of: NotifiedRelease) => string, isChanged: boolean): string => {
    const now = part(release);
    if (before === undefined || !isChanged) return now;
    return part(before) === now ? `${now} (other content)` : `${now} (was ${part(before)})`;
  };
  const facts: readonly (Fact | undefined)[] = [
    { title: "App", value: `${app.namespace}/${app.name}` },
    { title: "Release", value: release.id },
    { title: "Image", value: was((of) => of.image, changed.includes("image")) },
    { title: "Model version", value: was((of) => of.modelVersion, changed.includes("model")) },
    changed.includes("spec") ? { title: "Spec", value: "changed" } : undefined,
    requestedBy === undefined ? undefined : { title: "Requested by", value: requestedBy },
    reason === undefined ? undefined : { title: "Reason", value: reason },
    message === undefined ? undefined : { title: "Message", value: message },
    blame === undefined ? undefined : { title: "To blame", value: blames[blame] },
    action === undefined ? undefined : { title: "What to do", value: action },
  ];
  return facts.flatMap((fact) =>
    fact === undefined ? [] : [{ ...fact, value: shorten(fact.value) }],
  );
}

const blames: Readonly<Record<NonNullable<ReleaseNotice["blame"]>, string>> = {
  image: "the new image",
  model: "the new model version",
  both: "the new image and the new model version, each alone",
  combination: "only the combination of both",
  template: "the change of the spec",
};

function shorten(text: string): string {
  return text.length > MAX_VALUE ? `${text.slice(0, MAX_VALUE - 1)}…` : text;
}
