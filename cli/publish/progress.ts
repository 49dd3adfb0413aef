import { formatBytes, formatCount, formatDuration } from "../format.ts";
import type { Terminal } from "../terminal.ts";
import { sanitize, sanitizeLine } from "../terminal.ts";
import type { PublishEvent } from "./publish.ts";

export interface ProgressReport {
  readonly report: (event: PublishEvent) => void;
  /** Erases the bar. */
  readonly end: () => void;
}

const REDRAW_MS = 100;
const LINE_MS = 10_000;
const verbs = { Digesting: "Checking", Uploading: "Uploading" } as const;

/** On a terminal a bar that redraws itself; elsewhere one line for each file, and one every ten seconds of a long upload. */
export function publishProgress(terminal: Terminal, now: () => number): ProgressReport {
  let verb = "";
  let total = 0;
  let done = 0;
  let began = 0;
  let shownAt = 0;
  let drawn = false;

  function clear(): void {
    if (drawn) terminal.err("\r\u001b[K");
    drawn = false;
  }

  function line(text: string): void {
    clear();
    terminal.err(`${text}\n`);
    shownAt = now();
  }

  function show(): void {
    const elapsed = now() - began;
    if (terminal.interactive) {
      if (now() - shownAt < REDRAW_MS) return;
      clear();
      terminal.err(bar(verb, done, total, elapsed, terminal.columns));
      drawn = true;
      shownAt = now();
    } else if (now() - shownAt >= LINE_MS) {
      line(`${verb}: ${formatBytes(done)} of ${formatBytes(total)}`);
    }
  }

  function report(event: PublishEvent): void {
    switch (event.kind) {
      case "warning":
        return line(`${terminal.style.notice("warning:")} ${sanitize(event.message)}`);
      case "phase":
        verb = verbs[event.phase];
        total = event.bytes;
        done = 0;
        began = now();
        return line(`${verb} ${formatCount(event.files, "file")}, ${formatBytes(event.bytes)}`);
      case "bytes":
        done += event.bytes;
        return show();
      case "file":
        return line(
          `  ${sanitizeLine(event.path)} ${formatBytes(event.size)}${event.how === "present" ? ", already uploaded" : ""}`,
        );
      case "retry":
        return line(
          `  ${sanitizeLine(`${event.what}: ${event.why}`)}; retrying in ${formatDuration(event.pauseMs)}`,
        );
    }
  }

  return { report, end: clear };
}

export function bar(
  verb: string,
  done: number,
  total: number,
  elapsedMs: number,
  columns: number,
): string {
  const share = total === 0 ? 1 : Math.min(1, done / total);
  const rate = elapsedMs > 0 ? (done / elapsedMs) * 1000 : 0;
  const left = rate > 0 ? `, ${formatDuration(((total - done) / rate) * 1000)} left` : "";
  const text = ` ${Math.floor(share * 100)}% ${formatBytes(done)} of ${formatBytes(total)}, ${formatBytes(Math.round(rate))}/s${left}`;
  const width = Math.min(30, columns - verb.length - text.length - 2);
  if (width < 5) return `${verb}${text}`.slice(0, columns - 1);
  const filled = Math.round(share * width);
  return `${verb} ${"█".repeat(filled)}${"░".repeat(width - filled)}${text}`;
}
