import type { AIAppSpec } from "../../../crds/aiapp/spec.ts";
import { milliseconds } from "../../../crds/grammar/duration.ts";
import type { Labels } from "../namespace-labels.ts";
import {
  activeFreezes,
  isOverridden,
  nextFreezeChange,
  type ActiveFreeze,
  type Freeze,
} from "./freeze.ts";
import {
  isOpen,
  isWindowError,
  nextOpening,
  parseWindow,
  type Window,
  type WindowError,
} from "./window.ts";

/** Whether releases may begin now, as far as windows, freezes and policies decide. */
export interface Timing {
  /** Undefined without `spec.release.schedule`: any time. */
  readonly window: { readonly isOpen: boolean; readonly opensAt: number | undefined } | undefined;
  /** Why no AIAppSourcePolicy allows what the app names. */
  readonly refusal: string | undefined;
  /** A freeze that holds, and that the app does not override. */
  readonly freeze: ActiveFreeze | undefined;
  /** Milliseconds: when the next freeze begins or ends. */
  readonly freezeChangesAt: number | undefined;
}

/** What an administrator has frozen, as the operator read it. */
export interface Freezes {
  readonly all: readonly Freeze[];
  /** Of the app's namespace. */
  readonly labels: Labels;
}

/** Parsed once for each version of the spec. */
const windows = new WeakMap<AIAppSpec, Window | WindowError | undefined>();

export function windowOf(spec: AIAppSpec): Window | WindowError | undefined {
  if (!windows.has(spec)) windows.set(spec, readWindow(spec));
  return windows.get(spec);
}

function readWindow({ release }: AIAppSpec): Window | WindowError | undefined {
  const { schedule, timeZone, duration } = release ?? {};
  if (schedule === undefined) return undefined;
  const durationMs = duration === undefined ? undefined : milliseconds(duration);
  return parseWindow({ schedule, timeZone, durationMs });
}

export function timingOf(
  spec: AIAppSpec,
  { all, labels }: Freezes,
  {
    refusal,
    overridden,
  }: { readonly refusal: string | undefined; readonly overridden: string | undefined },
  now: number,
): Timing {
  const window = windowOf(spec);
  const active = all.length === 0 ? [] : activeFreezes(all, labels, now);
  return {
    refusal,
    window:
      window === undefined || isWindowError(window)
        ? undefined
        : { isOpen: isOpen(window, now), opensAt: nextOpening(window, now) },
    freeze: active.find((freeze) => !isOverridden(freeze, overridden)),
    freezeChangesAt: all.length === 0 ? undefined : nextFreezeChange(all, labels, now),
  };
}
