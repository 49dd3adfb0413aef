import type { AIApp } from "../../crds/aiapp/aiapp.ts";
import type { ReleaseStatus } from "../../crds/aiapp/status.ts";
import { sanitizeStrings } from "../app.ts";
import { heldRelease, releasesOf } from "../control/releases.ts";
import { ageOf, formatDuration, shortDigest } from "../format.ts";
import type { Style } from "../terminal.ts";
import { askerOf, type Journal, type JournalEntry } from "./journal.ts";

/** Undefined: the caller may not list the records that keep the journals. */
export type Journals = ReadonlyMap<string, Journal> | undefined;

const columns = [
  "",
  "RELEASE",
  "PHASE",
  "SINCE",
  "TAG",
  "IMAGE",
  "MODEL",
  "DIGEST",
  "BY",
  "REASON",
] as const;

/** A table of releases, newest first, and below it the phases that each one went through. */
export function renderHistory(
  untrusted: AIApp,
  untrustedJournals: Journals,
  only: string | undefined,
  now: number,
  style: Style,
): string {
  const app = sanitizeStrings(untrusted);
  const journals = untrustedJournals && sanitizeJournals(untrustedJournals);
  const releases = releasesOf(app).filter(({ id }) => only === undefined || id === only);
  if (releases.length === 0) return `${app.metadata.name} has no release yet\n`;
  const rows = releases.map((release) => rowOf(app, release, journals?.get(release.id) ?? [], now));
  const sections = [
    [...table([columns, ...rows], style), ...legend(app, style)],
    ...(journals === undefined
      ? [
          [
            style.faint(
              `Phases: not shown, as you may not list controllerrevisions.apps in ${app.metadata.namespace}`,
            ),
          ],
        ]
      : releases.flatMap((release) => phases(release, journals.get(release.id) ?? [], style))),
  ];
  return `${sections.map((section) => section.join("\n")).join("\n\n")}\n`;
}

function sanitizeJournals(journals: ReadonlyMap<string, Journal>): ReadonlyMap<string, Journal> {
  return new Map([...journals].map(([id, journal]) => [id, [...sanitizeStrings(journal)]]));
}

function rowOf(
  app: AIApp,
  release: ReleaseStatus,
  journal: Journal,
  now: number,
): readonly string[] {
  const { status } = app;
  const { id, phase, since, imageTag, imageDigest, modelVersion, modelDigest } = release;
  return [
    status?.candidate?.id === id ? "+" : status?.current?.id === id ? "*" : "",
    id,
    phase,
    ageOf(since, now),
    // A pinned image has no tag, and its digest has a column.
    imageTag === undefined || imageTag === imageDigest ? "-" : imageTag,
    bareDigest(imageDigest),
    modelVersion,
    bareDigest(modelDigest),
    release.by ?? askerOf(journal) ?? "-",
    release.reason ?? "-",
  ];
}

/** Twelve hex digits are enough to compare by eye; the JSON has all. */
function bareDigest(digest: string): string {
  return shortDigest(digest).replace(/^sha256:/, "");
}

function table(rows: readonly (readonly string[])[], style: Style): readonly string[] {
  const widths = columns.map((_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0)),
  );
  return rows.map((row, index) => {
    const line = row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ");
    const text = line.trimEnd();
    return index === 0 ? style.faint(text) : row[0] === "*" ? style.strong(text) : text;
  });
}

function legend(app: AIApp, style: Style): readonly string[] {
  const held = heldRelease(app);
  return [
    ...(app.status?.candidate || app.status?.current
      ? [style.faint("* is the current release, + is the candidate")]
      : []),
    ...(held === undefined ? [] : [style.notice(`release ${held} is held`)]),
  ];
}

function phases(
  { id }: ReleaseStatus,
  journal: Journal,
  style: Style,
): readonly (readonly string[])[] {
  if (journal.length === 0) return [];
  const phaseWidth = Math.max(...journal.map(({ phase }) => phase.length));
  return [[style.strong(id), ...journal.flatMap((entry) => entryLines(entry, phaseWidth, style))]];
}

function entryLines(entry: JournalEntry, phaseWidth: number, style: Style): readonly string[] {
  const { phase, at, durationMs, reason, message, by, blame } = entry;
  const duration = durationMs === undefined ? "" : formatDuration(durationMs);
  const details = [
    reason,
    by === undefined ? undefined : `by ${by}`,
    blame === undefined ? undefined : `blame: ${blame}`,
  ].filter((part) => part !== undefined);
  const line = `  ${at}  ${phase.padEnd(phaseWidth)}  ${duration.padEnd(6)}  ${details.join(", ")}`;
  const text = message?.split("\n") ?? [];
  return [line.trimEnd(), ...text.map((part) => style.faint(`      ${part}`))];
}
