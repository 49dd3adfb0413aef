import { invalidRequest, type ServerError } from "../errors.ts";

/** What a request needs at most: JSON takes its memory, many times its bytes, before its form can be checked. */
const MAX_DEPTH = 16;
/** Numbers whose last dimension are three channels have an array for each pixel: 4 million are 1.4 million arrays. */
const MAX_ARRAYS = 1_500_000;
const MAX_VALUES = 5_000_000;
/** Objects and their fields: a body is one object of one field. */
const MAX_FIELDS = 10_000;

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_ARRAY = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/** After so many characters that count for nothing, the next one that does is searched: numbers without end are common. */
const SEARCH_AFTER = 32;
/** A value and its comma take two characters: shorter text cannot have too many values. */
const MIN_TOO_MANY = 2 * MAX_VALUES;

interface Counted {
  readonly search: RegExp;
  /** By the character's code: 1 where it counts. */
  readonly codes: Uint8Array;
}

function countedOf(...codes: readonly number[]): Counted {
  const table = new Uint8Array(128);
  for (const code of codes) table[code] = 1;
  const escaped = codes.map((code) => `\\x${code.toString(16)}`).join("");
  return { search: new RegExp(`[${escaped}]`, "g"), codes: table };
}

const inAny = [QUOTE, COLON, OPEN_ARRAY, CLOSE_ARRAY, OPEN_OBJECT, CLOSE_OBJECT] as const;
const short = countedOf(...inAny);
const long = countedOf(...inAny, COMMA);

/**
 * Counts what JSON text would become, without parsing it. Whether it is JSON at all is for the parser to say.
 * @param what names the text in the message
 * @throws REQUEST_INVALID when it is nested too deep, or of more parts than any request has
 */
export function checkParts(text: string, what: string, maxDepth = MAX_DEPTH): void {
  const { codes, search } = text.length < MIN_TOO_MANY ? short : long;
  let depth = 0;
  let arrays = 0;
  let values = 0;
  let fields = 0;
  let passed = 0;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (codes[code] !== 1) {
      passed += 1;
      if (passed < SEARCH_AFTER) continue;
      search.lastIndex = at + 1;
      at = (search.exec(text)?.index ?? text.length) - 1;
      passed = 0;
      continue;
    }
    passed = 0;
    switch (code) {
      case QUOTE:
        at = endOfText(text, at);
        break;
      case OPEN_ARRAY:
        depth += 1;
        arrays += 1;
        if (arrays > MAX_ARRAYS) throw tooMany(what, MAX_ARRAYS, "arrays");
        break;
      case OPEN_OBJECT:
        depth += 1;
        fields += 1;
        break;
      case COLON:
        fields += 1;
        break;
      case COMMA:
        values += 1;
        if (values > MAX_VALUES) throw tooMany(what, MAX_VALUES, "values");
        break;
      case CLOSE_ARRAY:
      case CLOSE_OBJECT:
        depth -= 1;
        break;
      default:
    }
    if (depth > maxDepth) throw invalidRequest(`${what} is nested deeper than ${maxDepth} levels`);
    if (fields > MAX_FIELDS) throw tooMany(what, MAX_FIELDS, "objects and fields");
  }
}

/** Where the text ends that begins with the quote at `begin`. */
function endOfText(text: string, begin: number): number {
  let end = text.indexOf('"', begin + 1);
  while (end !== -1 && isEscaped(text, begin, end)) end = text.indexOf('"', end + 1);
  return end === -1 ? text.length : end;
}

/** Whether the quote at `end` is a part of the text that begins at `begin`: a number of backslashes that is odd precedes it. */
function isEscaped(text: string, begin: number, end: number): boolean {
  let at = end - 1;
  while (at > begin && text.charCodeAt(at) === BACKSLASH) at -= 1;
  return (end - 1 - at) % 2 === 1;
}

function tooMany(what: string, limit: number, parts: string): ServerError {
  return invalidRequest(`${what} has more than ${limit} ${parts}: send fewer rows at once`);
}
