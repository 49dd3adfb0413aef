import type { AIApp } from "../../crds/aiapp.ts";
import { annotations } from "../../crds/names.ts";

/** What people ask of an AIApp beside its spec: its annotations, read in this one place. */
export interface Intents {
  /** `aiapp.dev/requestedAt`: poll now. Handled once the same token is in `status.lastHandledReconcileAt`. */
  readonly pollToken: string | undefined;
}

export function readIntents({ metadata }: AIApp): Intents {
  const notes = metadata.annotations ?? {};
  return { pollToken: notes[annotations.requestedAt] };
}
