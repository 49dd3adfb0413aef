import { z } from "zod";

import { phases, type Phase } from "../../../crds/aiapp.ts";

/** What made a release fail: one half, both, only both together, or what the spec says about the pods. */
export const blames = ["image", "model", "both", "combination", "template"] as const;
export type Blame = (typeof blames)[number];

/**
 * The journal of a release: one entry for each phase that it entered, oldest first. The last entry is the phase that the
 * release is in. Everything that is reported about a release (phase, history, durations, events, metrics) derives from it.
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
}
export type Journal = readonly JournalEntry[];

/** Members of a newer operator are kept. */
const Entry = z.looseObject({
  phase: z.enum(phases),
  at: z.string(),
  reason: z.string().optional(),
  message: z.string().optional(),
  step: z.string().optional(),
  by: z.string().optional(),
  answers: z.string().optional(),
  blame: z.enum(blames).optional(),
});

/** A journal is an annotation: at most this many entries, each with at most this much text. */
const MAX_ENTRIES = 40;
const MAX_TEXT = 1024;

const Entries = z.array(z.unknown()).max(1000);

/**
 * Reads what `writeJournal` wrote. Entries that cannot be read (a phase of a newer operator) are left out; text that is
 * no journal reads as an empty one.
 */
export function readJournal(text: string | undefined): Journal {
  if (text === undefined) return [];
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return [];
  }
  const entries = Entries.safeParse(value);
  if (!entries.success) return [];
  return entries.data.flatMap((entry) => Entry.safeParse(entry).data ?? []);
}

export function writeJournal(journal: Journal): string {
  return JSON.stringify(journal);
}

/** Appends an entry. Past the bound the oldest entries go, but never the last `Released`: the stable release rests on it. */
export function append(journal: Journal, entry: JournalEntry): Journal {
  const { reason, message, step, by, ...rest } = entry;
  const bounded = {
    ...rest,
    ...(reason !== undefined && { reason: reason.slice(0, MAX_TEXT) }),
    ...(message !== undefined && { message: message.slice(0, MAX_TEXT) }),
    ...(step !== undefined && { step: step.slice(0, MAX_TEXT) }),
    ...(by !== undefined && { by: by.slice(0, MAX_TEXT) }),
  };
  const entries = [...journal, bounded];
  const surplus = entries.length - MAX_ENTRIES;
  if (surplus <= 0) return entries;
  const released = entries.findLastIndex(({ phase }) => phase === "Released");
  return entries.filter((_, index) => index >= surplus || index === released);
}

/** The newest entry of a phase. */
export function lastOf(journal: Journal, phase: Phase): JournalEntry | undefined {
  return journal.findLast((entry) => entry.phase === phase);
}
