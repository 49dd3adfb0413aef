import type { AIApp } from "../../crds/aiapp/aiapp.ts";
import { annotations } from "../../crds/names.ts";

/** What people ask of an AIApp beside its spec: its annotations, read in this one place. */
export interface Intents {
  /** `aiapp.dev/requestedAt`: poll now. Handled once the same token is in `status.lastHandledReconcileAt`. */
  readonly pollToken: string | undefined;
  /** The release that may be rolled out though approval is manual. */
  readonly approve: Intent | undefined;
  /** The release that is to run until the annotation is removed. */
  readonly hold: Intent | undefined;
  /** The failed release that is to be tried again. */
  readonly retry: Request | undefined;
  /** The release under way that is to be given up. */
  readonly abort: Request | undefined;
  /** The release that waits for no window and no minimum age. */
  readonly releaseNow: Intent | undefined;
  /** Names of freezes that do not hold for this app, comma-separated. */
  readonly overrideFreeze: string | undefined;
}

/** A release that a person names. */
export interface Intent {
  readonly id: string;
  /** Who set the annotation and when, as far as the API server recorded it. */
  readonly by: string;
}

/** An intent that is answered once for each value: `<id>`, or `<id>/<anything>` for another time. */
export interface Request extends Intent {
  readonly token: string;
}

const MAX_VALUE = 256;

export function readIntents(app: AIApp): Intents {
  const notes = app.metadata.annotations ?? {};
  const read = (name: string): string | undefined => {
    const value = notes[name]?.trim().slice(0, MAX_VALUE);
    return value === "" ? undefined : value;
  };
  const intent = (name: string): Intent | undefined => {
    const id = read(name);
    return id === undefined ? undefined : { id, by: setBy(app, name) };
  };
  const request = (name: string): Request | undefined => {
    const token = read(name);
    if (token === undefined) return undefined;
    return { id: token.split("/", 1)[0] ?? "", token, by: setBy(app, name) };
  };
  return {
    pollToken: notes[annotations.requestedAt],
    approve: intent(annotations.approve),
    hold: intent(annotations.hold),
    retry: request(annotations.retry),
    abort: request(annotations.abort),
    releaseNow: intent(annotations.releaseNow),
    overrideFreeze: read(annotations.overrideFreeze),
  };
}

/** The field manager that owns an annotation, and the time of its last write (metadata.managedFields). */
function setBy({ metadata }: AIApp, annotation: string): string {
  const entries: unknown = Reflect.get(metadata, "managedFields");
  if (!Array.isArray(entries)) return "annotation";
  for (const entry of entries as readonly unknown[]) {
    const { manager, time, fieldsV1 } = Object(entry) as Record<string, unknown>;
    if (owns(fieldsV1, ["f:metadata", "f:annotations", `f:${annotation}`]))
      return [manager, time].filter((part) => typeof part === "string").join(" at ");
  }
  return "annotation";
}

function owns(fields: unknown, path: readonly string[]): boolean {
  const [key, ...rest] = path;
  if (key === undefined) return true;
  if (typeof fields !== "object" || fields === null || !(key in fields)) return false;
  return owns(Reflect.get(fields, key), rest);
}
