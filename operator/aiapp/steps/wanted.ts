import type { Observed } from "../observed.ts";
import { releaseOf, type Pair, type Release } from "../release/identity.ts";
import { isTemplate } from "../release/record.ts";
import type { Ledger } from "../release/ledger.ts";
import { windowOf } from "../release/timing.ts";
import { isWindowError } from "../release/window.ts";
import { renderTemplate, type PullerSettings } from "../resources/template.ts";
import { findDowngrade, findMutation, type Refusal } from "./refusals.ts";

/** Which release the spec and the sources ask for. */
export interface Wanted {
  /** Undefined while it is not known, or refused. */
  readonly release: Release | undefined;
  /** Why what the sources show now is not released. */
  readonly refusal: Refusal | undefined;
}

export function decideWanted(
  { app }: Observed,
  pair: Pair | undefined,
  ledger: Ledger,
  puller: PullerSettings,
): Wanted {
  if (pair === undefined) return { release: undefined, refusal: undefined };
  const window = windowOf(app.spec);
  if (window !== undefined && isWindowError(window)) {
    const message = `${window.message}; the running release keeps serving`;
    return { release: undefined, refusal: { reason: "InvalidSpec", message } };
  }
  const refusal = findMutation(app.spec, ledger, pair) ?? findDowngrade(app.spec, ledger, pair);
  if (refusal !== undefined) return { release: undefined, refusal };
  const release = releaseOf(app.spec, pair);
  const isRecorded = ledger.all.some(({ id }) => id === release.id);
  if (!isRecorded && !isTemplate(renderTemplate(app, release, puller))) {
    const message =
      "spec.podTemplate is not a partial PodTemplateSpec: containers and initContainers must be lists, and each container needs a name; correct it and apply again";
    return { release: undefined, refusal: { reason: "InvalidSpec", message } };
  }
  return { release, refusal: undefined };
}
