import { styleText } from "node:util";

/** Where the CLI writes, and what that can show. Results go to `out`, everything else to `err`. */
export interface Terminal {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  /** Whether `err` can be drawn over: a progress bar makes sense. */
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

/** Text from a cluster or a file name must not drive the terminal. */
export function printable(text: string): string {
  // eslint-disable-next-line no-control-regex
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, "�");
}
