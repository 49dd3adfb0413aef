/** Where text stops being JSON, and why: `JSON.parse` does not always say. Runs only on text that it has rejected. */

export interface JsonFault {
  /** The UTF-16 unit that cannot stand there; the length of the text where it ends too soon. */
  readonly at: number;
  /** Whether a whole value comes before it. */
  readonly isBehindValue: boolean;
}

const SPACE = 0x20;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const WHITESPACE = /[ \t\n\r]*/y;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
/** What of a number can be read before it breaks. */
const NUMBER_START = /-?(?:(?:0|[1-9]\d*)(?:\.(?:\d+(?:[eE][+-]?)?)?|[eE][+-]?)?)?/y;
/** Behind a backslash. */
const ESCAPES = '"\\/bfnrt';
const UNICODE = /u[\da-fA-F]{4}/y;
const UNICODE_START = /(?:u[\da-fA-F]{0,3})?/y;

class Fault extends Error {
  readonly at: number;

  constructor(at: number) {
    super("no JSON");
    this.at = at;
  }
}

/**
 * The first place at which the text is no JSON; undefined where it is JSON.
 * @param text nested no deeper than what `checkParts` lets pass: a level is a call
 */
export function faultOf(text: string): JsonFault | undefined {
  let end: number;
  try {
    end = skip(text, value(text, skip(text, 0)));
  } catch (error) {
    if (error instanceof Fault) return { at: error.at, isBehindValue: false };
    throw error;
  }
  return end === text.length ? undefined : { at: end, isBehindValue: true };
}

function lengthOf(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at;
  return pattern.test(text) ? pattern.lastIndex - at : 0;
}

function skip(text: string, at: number): number {
  if (text.charCodeAt(at) > SPACE) return at;
  return at + lengthOf(WHITESPACE, text, at);
}

/** Each reader takes where its part begins and gives where it ends. */
function value(text: string, at: number): number {
  switch (text[at] ?? "") {
    case "[":
      return list(text, at, "]", value);
    case "{":
      return list(text, at, "}", field);
    case '"':
      return string(text, at);
    case "t":
      return word(text, at, "true");
    case "f":
      return word(text, at, "false");
    case "n":
      return word(text, at, "null");
    default:
      return number(text, at);
  }
}

function list(text: string, start: number, close: string, part: typeof value): number {
  let at = skip(text, start + 1);
  if (text[at] === close) return at + 1;
  for (;;) {
    at = skip(text, part(text, at));
    if (text[at] === close) return at + 1;
    if (text[at] !== ",") throw new Fault(at);
    at = skip(text, at + 1);
  }
}

function field(text: string, start: number): number {
  if (text[start] !== '"') throw new Fault(start);
  const at = skip(text, string(text, start));
  if (text[at] !== ":") throw new Fault(at);
  return value(text, skip(text, at + 1));
}

function string(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at += 1) {
    const unit = text.charCodeAt(at);
    if (unit === QUOTE) return at + 1;
    if (unit < SPACE) throw new Fault(at);
    if (unit !== BACKSLASH) continue;
    at += 1;
    if (ESCAPES.includes(text[at] ?? " ")) continue;
    const length = lengthOf(UNICODE, text, at);
    if (length === 0) throw new Fault(at + lengthOf(UNICODE_START, text, at));
    at += length - 1;
  }
  throw new Fault(text.length);
}

function word(text: string, at: number, expected: string): number {
  for (let index = 0; index < expected.length; index += 1)
    if (text[at + index] !== expected[index]) throw new Fault(at + index);
  return at + expected.length;
}

function number(text: string, at: number): number {
  const length = lengthOf(NUMBER, text, at);
  // What goes on as a number does not end as one: `1.`, `1e+`, `-`.
  if (length > 0 && !".eE".includes(text[at + length] ?? " ")) return at + length;
  const start = lengthOf(NUMBER_START, text, at);
  if (length === 0 || start > length) throw new Fault(at + start);
  return at + length;
}

/** What clients send that is no JSON, and what to send instead. */
const hints: readonly (readonly [RegExp, string])[] = [
  [/NaN/y, 'JSON has no NaN: send "NaN" as text'],
  [/-?Infinity/y, 'JSON has no infinities: send "Infinity" or "-Infinity" as text'],
  [/True|False|None/y, "JSON has true, false and null"],
  [/'/y, "JSON has double quotes around text"],
];

/** Where the text is no JSON and what to do. It quotes no more than one character. */
export function describeFault(text: string, { at, isBehindValue }: JsonFault): string {
  const place = placeOf(text, at);
  if (at >= text.length) return `it ends too soon, at ${place}: check that it is sent whole`;
  const unit = JSON.stringify(String.fromCodePoint(text.codePointAt(at) ?? 0));
  if (isBehindValue) return `it goes on behind its end, with ${unit} at ${place}`;
  const from = text[at - 1] === "-" ? at - 1 : at;
  const hint = hints.find(([pattern]) => lengthOf(pattern, text, from) > 0);
  return `${unit} at ${place} cannot stand there${hint === undefined ? "" : `: ${hint[1]}`}`;
}

function placeOf(text: string, at: number): string {
  let line = 1;
  let start = 0;
  for (let end = text.indexOf("\n"); end !== -1 && end < at; end = text.indexOf("\n", start)) {
    line += 1;
    start = end + 1;
  }
  return `line ${line}, column ${at - start + 1}`;
}
