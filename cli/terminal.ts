import { styleText } from "node:util";

/** Where the CLI writes, and what that can display. Results go to `out`, everything else to `err`. */
export interface Terminal {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  /** Whether `err` is a terminal that can redraw a line, as a progress bar needs. */
  readonly interactive: boolean;
  readonly columns: number;
  readonly style: Style;
}

export interface Style {
  readonly good: (text: string) => string;
  readonly bad: (text: string) => string;
  readonly notice: (text: string) => string;
  readonly strong: (text: string) => string;
  readonly faint: (text: string) => string;
}

export function styleFor(colours: boolean): Style {
  function as(...format: Parameters<typeof styleText>): string {
    return styleText(format[0], format[1], { validateStream: false });
  }
  if (!colours) {
    const plain = (text: string): string => text;
    return { good: plain, bad: plain, notice: plain, strong: plain, faint: plain };
  }
  return {
    good: (text) => as("green", text),
    bad: (text) => as("red", text),
    notice: (text) => as("yellow", text),
    strong: (text) => as("bold", text),
    faint: (text) => as("dim", text),
  };
}

/** no-color.org: any non-empty NO_COLOR turns colours off. */
export function wantsColours(
  isTTY: boolean,
  env: Readonly<Record<string, string | undefined>>,
): boolean {
  return isTTY && !env["NO_COLOR"] && env["TERM"] !== "dumb";
}

/**
 * Characters that act on a terminal instead of showing: C0 and C1 controls but tab and line feed, DEL, the line and
 * paragraph separators, and Unicode's bidirectional formatting characters (UAX #9), which reorder what is shown.
 */
const unsafe =
  // eslint-disable-next-line no-control-regex
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/**
 * Makes text from a server or a file name safe to print; keeps its line breaks. Sanitize before styling: the escape
 * sequences of a style are controls too.
 */
export function sanitize(text: string): string {
  return text.replace(unsafe, "�");
}

/** The same for text that must stay on one line: a line break could otherwise pass for a line of ours. */
export function sanitizeLine(text: string): string {
  return sanitize(text).replace(/[\t\n]+/g, " ");
}

/** JSON that is safe to print: the same characters as `\uXXXX`, so that a reader of the JSON gets them unchanged. */
export function safeJson(value: unknown): string {
  return JSON.stringify(value, null, 2).replace(
    unsafe,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
