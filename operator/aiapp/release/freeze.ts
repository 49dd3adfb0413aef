import type { AIAppReleaseFreeze } from "../../../crds/freeze.ts";
import { milliseconds } from "../../../crds/grammar/duration.ts";
import { parseTime } from "../../../crds/grammar/rfc3339.ts";
import type { LabelSelector } from "../../../crds/label-selector.ts";
import { selects, type Labels } from "../namespace-labels.ts";
import {
  closesAt,
  isOpen,
  isWindowError,
  nextOpening,
  parseWindow,
  type Window,
} from "./window.ts";

/**
 * AIAppReleaseFreezes: whether one holds for a namespace. Pure: times are arguments, in milliseconds since the epoch.
 *
 * A freeze whose time cannot be read holds always, with an error that says what to write: releases that wait, and say for
 * what, do less harm than releases in a time that an administrator believed to be frozen.
 */
export interface Freeze {
  readonly name: string;
  readonly reason: string;
  readonly selector: LabelSelector;
  readonly time: FreezeTime;
}

export type FreezeTime =
  /** `from` inclusive, `until` exclusive; infinite where the resource leaves them open. */
  | { readonly type: "Once"; readonly from: number; readonly until: number }
  | { readonly type: "Recurring"; readonly window: Window }
  | { readonly type: "Invalid"; readonly message: string };

/** A freeze that holds. */
export interface ActiveFreeze {
  readonly name: string;
  readonly reason: string;
  /** Undefined: until the resource is changed or deleted. */
  readonly until: number | undefined;
  /** Why the time of the freeze cannot be read, and what to write. */
  readonly error?: string;
}

/** Never throws. Takes about 1 ms for a freeze that recurs: keep the result for as long as the resource is the same. */
export function parseFreeze({ metadata, spec }: AIAppReleaseFreeze): Freeze {
  return {
    name: metadata.name,
    reason: spec.reason,
    selector: spec.namespaceSelector ?? {},
    time: freezeTimeOf(spec),
  };
}

function freezeTimeOf(spec: AIAppReleaseFreeze["spec"]): FreezeTime {
  const { from, until, schedule, timeZone, duration } = spec;
  if (schedule !== undefined) {
    const durationMs = duration === undefined ? undefined : milliseconds(duration);
    const window = parseWindow({ schedule, timeZone, durationMs }, "spec");
    if (isWindowError(window)) return { type: "Invalid", message: window.message };
    return { type: "Recurring", window };
  }
  const time = {
    type: "Once",
    from: from === undefined ? -Infinity : (parseTime(from) ?? Number.NaN),
    until: until === undefined ? Infinity : (parseTime(until) ?? Number.NaN),
  } as const;
  for (const field of ["from", "until"] as const) {
    if (!Number.isNaN(time[field])) continue;
    const message = `spec.${field} ${JSON.stringify(spec[field])} is not a point in time: write one such as 2026-12-20T00:00:00Z`;
    return { type: "Invalid", message };
  }
  return time;
}

/** The freezes that hold for a namespace with these labels, in the order given. */
export function activeFreezes(
  freezes: readonly Freeze[],
  namespaceLabels: Labels,
  now: number,
): readonly ActiveFreeze[] {
  return freezes
    .filter(({ selector, time }) => holds(time, now) && selects(selector, namespaceLabels))
    .map(({ name, reason, time }) => ({
      name,
      reason,
      until: endOf(time, now),
      ...(time.type === "Invalid" && { error: time.message }),
    }));
}

/** When the next freeze of a namespace begins or ends: the time to decide again. Undefined: never, or not for years. */
export function nextFreezeChange(
  freezes: readonly Freeze[],
  namespaceLabels: Labels,
  now: number,
): number | undefined {
  const changes = freezes
    .filter(({ selector }) => selects(selector, namespaceLabels))
    .map(({ time }) => (holds(time, now) ? endOf(time, now) : beginningOf(time, now)))
    .filter((change) => change !== undefined);
  return changes.length === 0 ? undefined : Math.min(...changes);
}

function holds(time: FreezeTime, now: number): boolean {
  if (time.type === "Once") return time.from <= now && now < time.until;
  return time.type === "Invalid" || isOpen(time.window, now);
}

function endOf(time: FreezeTime, now: number): number | undefined {
  if (time.type === "Recurring") return closesAt(time.window, now);
  return time.type === "Once" && time.until !== Infinity ? time.until : undefined;
}

function beginningOf(time: FreezeTime, now: number): number | undefined {
  if (time.type === "Recurring") return nextOpening(time.window, now);
  return time.type === "Once" && now < time.from && time.from < time.until ? time.from : undefined;
}

/**
 * Whether the annotation `aiapp.dev/override-freeze` of an AIApp names the freeze. It holds names, separated by commas: a
 * freeze that its author did not know of stays in force.
 */
export function isOverridden(
  freeze: { readonly name: string },
  annotationValue: string | undefined,
): boolean {
  return (annotationValue ?? "").split(",").some((name) => name.trim() === freeze.name);
}
