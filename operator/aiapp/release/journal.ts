import type { Phase } from "../../../crds/aiapp/status.ts";
import { JournalEntry, readEntries, type Journal } from "../../../crds/journal.ts";

/** A journal is an annotation: at most this many entries, each with at most this much text. */
const MAX_ENTRIES = 40;
const MAX_TEXT = 1024;

/** Reads what `writeJournal` wrote. Phases of a newer operator are left out. */
export function readJournal(text: string | undefined): Journal {
  return readEntries(text, JournalEntry);
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
