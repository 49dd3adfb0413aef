import { z } from "zod";

import { phases, type Phase } from "./aiapp/status.ts";
import { parseTime } from "./grammar/rfc3339.ts";

/** What made a release fail: one half, both, only both together, or what the spec says about the pods. */
export const blames = ["image", "model", "both", "combination", "template"] as const;
export type Blame = (typeof blames)[number];

/**
 * The journal of a release: one entry for each phase that it entered, oldest first. The last entry is the phase that the
 * release is in. The operator writes it as JSON into the annotation aiapp.dev/journal of the release's ControllerRevision,
 * and everything that is reported about a release derives from it.
 */
export interface JournalEntry {
  readonly phase: Phase;
  /** RFC 3339, with milliseconds. Entries of one AIApp never share a time: later entries have later times. */
  readonly at: string;
  readonly reason?: string | undefined;
  readonly message?: string | undefined;
  /** Of `Settling`: when the first of several changes in a row was found. RFC 3339. */
  readonly step?: string | undefined;
  /** Who requested, when a person did. */
  readonly by?: string | undefined;
  /** The value of the annotation aiapp.dev/retry or aiapp.dev/abort that this entry answers: each is answered once. */
  readonly answers?: string | undefined;
  readonly blame?: Blame | undefined;
  /** Names of `spec.notifications` that have still to be sent for this entry. Absent when none has. */
  readonly notify?: readonly string[] | undefined;
}
export type Journal = readonly JournalEntry[];

/** As written by this version or a newer one, whose members are kept. Users can edit annotations: `at` may be no time. */
export const JournalEntry = z.looseObject({
  phase: z.enum(phases),
  at: z.string().refine((at) => parseTime(at) !== undefined),
  reason: z.string().optional(),
  message: z.string().optional(),
  step: z.string().optional(),
  by: z.string().optional(),
  answers: z.string().optional(),
  blame: z.enum(blames).optional(),
  notify: z.array(z.string()).optional(),
});

const Entries = z.array(z.unknown()).max(1000);

/**
 * Reads a journal with a schema of its entries. Entries that do not fit the schema are left out; text that is no journal
 * reads as an empty one.
 */
export function readEntries<T>(text: string | undefined, entry: z.ZodType<T>): readonly T[] {
  if (text === undefined) return [];
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return [];
  }
  const entries = Entries.safeParse(value).data ?? [];
  return entries.flatMap((one) => entry.safeParse(one).data ?? []);
}
