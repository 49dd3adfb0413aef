/** Finds words that the project does not use, with the words to use instead: `docs/glossary.md` has the terms. */

interface Word {
  /** Words and phrases, also as parts of identifiers: `is out` finds isOut. */
  readonly find: RegExp;
  readonly write: string;
}

export interface Hit {
  readonly line: number;
  readonly found: string;
  readonly write: string;
}

/** Matched in lower case, after `camelCase` is split into `camel case`. */
const words: readonly Word[] = [
  word("told|tells?|telling", "report, state, show; of differences: distinguish"),
  word("mend(s|ed|ing)?", "fix"),
  word("somebody|nobody|whoever|everybody|anybody", "the actor: the operator, a user, a client"),
  word("no matter", "whether or not, regardless of"),
  word("looked at", "polled, checked, read"),
  word("wish(es|ed)?", "subscription; request"),
  word("heed(s|ed|ful|fully)?", "observe; withAbortSignal"),
  word("anew", "again, or the verb alone: recompute, restart"),
  word("ever", "nothing, or name the bound"),
  word("clothes", "IPv4-mapped address"),
  word("lies", "is"),
  word("(goes|go|went) by itself", "the actor and its action"),
  word("in its right mind|behave like itself", "behave like a registry"),
  word("(is|are|was|were|be|been|fully|never) out(?! of)", "is fully rolled out; isComplete"),
  word("as asked", "the field and its value: spec.replicas is 0"),
  word("has not the", "lacks"),
  word("answered what it should not", "unexpected response: …"),
  word("minutes to count", "take minutes to take effect"),
  word("what is followed", "sources"),
  word("leading no more", "lost leadership"),
  word("bad answer", "UnexpectedResponse"),
  word("quiet until", "throttledUntil"),
  word("namer", "resolveSources"),
  word("again when reset", "retryOnConnectionReset"),
  word("give back|given back|gives the lease back", "releaseLease, release"),
  word("seat|seats|seat worker", "worker slot, spawnWorker"),
];

/** Identifiers that would be fine as words of a sentence. */
const identifiers: readonly Word[] = [
  {
    find: /\bAsked\b|(?<=\b(?:const|let|readonly|function) |\.)asked\b/g,
    write: "requests, ScoreInput",
  },
  { find: /\bunderWay\b/g, write: "inFlight" },
  { find: /(?<=\.|\bfunction )want\(/g, write: "subscribe" },
];

function word(pattern: string, write: string): Word {
  // A phrase may wrap, in a comment too.
  const phrase = pattern.replaceAll(" ", String.raw`(?:[\s*]|//)+`);
  return { find: new RegExp(String.raw`\b(?:${phrase})\b`, "gi"), write };
}

export function findWords(text: string): readonly Hit[] {
  const split = text.replace(/(?<=[a-z0-9])(?=[A-Z])/g, " ");
  return [...hitsOf(split, words), ...hitsOf(text, identifiers)].toSorted(
    (a, b) => a.line - b.line,
  );
}

function hitsOf(text: string, list: readonly Word[]): readonly Hit[] {
  return list.flatMap(({ find, write }) =>
    [...text.matchAll(find)].map(({ 0: found, index }) => ({
      line: text.slice(0, index).split("\n").length,
      found: found.replace(/\s+/g, " "),
      write,
    })),
  );
}
