import { z } from "zod";

import { JournalEntry as Written, readEntries } from "../../crds/journal.ts";
import { annotations, labels } from "../../crds/names.ts";
import { parseTime } from "../../crds/grammar/rfc3339.ts";

/** A phase that a release entered, as its record keeps it, and how long it lasted. */
export interface JournalEntry {
  readonly phase: string;
  /** RFC 3339. */
  readonly at: string;
  /** Until the next phase began; undefined for the newest one, and where a time cannot be read. */
  readonly durationMs?: number;
  readonly reason?: string | undefined;
  readonly message?: string | undefined;
  /** Who asked, when a person did. */
  readonly by?: string | undefined;
  /** The value of the annotation aiapp.dev/retry or aiapp.dev/abort that this entry answers. */
  readonly answers?: string | undefined;
  /** What made the release fail. */
  readonly blame?: string | undefined;
}

/** Oldest first. */
export type Journal = readonly JournalEntry[];

/** As untrusted text: a newer operator may have other phases and blames. */
const Entry = Written.omit({ step: true })
  .extend({ phase: z.string(), blame: z.string().optional() })
  .strip();

const Records = z.object({
  items: z
    .array(
      z.object({
        metadata: z.object({
          labels: z.record(z.string(), z.string()).default({}),
          annotations: z.record(z.string(), z.string()).default({}),
        }),
      }),
    )
    .max(1000),
});

/** The journal of each release by its id. A release with several records has the one that was written last. */
export function readJournals(list: unknown): ReadonlyMap<string, Journal> {
  const journals = new Map<string, Journal>();
  for (const { metadata } of Records.safeParse(list).data?.items ?? []) {
    const id = metadata.labels[labels.release];
    const journal = parseJournal(metadata.annotations[annotations.journal] ?? "");
    if (id === undefined || journal.length === 0) continue;
    const other = journals.get(id)?.at(-1)?.at ?? "";
    if ((journal.at(-1)?.at ?? "") > other) journals.set(id, journal);
  }
  return journals;
}

const ends: readonly string[] = ["Released", "Failed", "Superseded"];

/** Who asked for the last attempt at a release: a phase that ends it does not repeat who began it. */
export function askerOf(journal: Journal): string | undefined {
  const before = journal.findLastIndex(
    ({ phase }, index) => index < journal.length - 1 && ends.includes(phase),
  );
  return journal.slice(before + 1).findLast(({ by }) => by !== undefined)?.by;
}

function parseJournal(text: string): Journal {
  const known = readEntries(text, Entry);
  return known.map((entry, index) => {
    const next = known[index + 1];
    const [from, to] = [parseTime(entry.at), parseTime(next?.at ?? "")];
    return from === undefined || to === undefined
      ? entry
      : { ...entry, durationMs: Math.max(0, to - from) };
  });
}
