import { isDeepStrictEqual } from "node:util";

import { z } from "zod";

import type { HttpResponse } from "./parser.ts";

/** The release that responded, from the response headers. */
export interface Named {
  readonly release: string;
  readonly modelVersion: string;
}

export interface Verdict extends Partial<Named> {
  /** A short reason to count; absent if the response is right. */
  readonly wrong?: string;
  readonly detail?: string;
}

/** Checks one response to one picture. Pluggable: other servers have other response formats. */
export type Check = (picture: string, response: HttpResponse) => Verdict;

/**
 * The expected response: by release id or model version, then by picture (`*`: any). A string is the most likely label;
 * any other value is the whole response, with numbers within the tolerance.
 */
export const Expectations = z.record(z.string(), z.record(z.string(), z.json()));
export type Expectations = z.infer<typeof Expectations>;

export interface ScoreCheck {
  readonly check: Check;
  readonly expect: (more: Expectations) => void;
}

export interface ScoreCheckOptions {
  readonly expectations?: Expectations;
  /**
   * Without an expectation, accepts the first response of a release to a picture, so that later ones must equal it.
   * Otherwise a response of a release without expectations is wrong.
   */
  readonly learn: boolean;
  /** The accepted difference of two numbers: percentages differ between machines in the last digits. */
  readonly tolerance: number;
}

const Scored = z.object({ result: z.tuple([z.array(z.json()), z.string()]) });

/** The maximum number of releases to record; a driver sees a few dozen. */
const MAX_RELEASES = 1_000;

/** The check of `POST /score`: 200, the headers that name the release, and the expected response of this release. */
export function createScoreCheck(options: ScoreCheckOptions): ScoreCheck {
  const expectations = new Map<string, Map<string, z.core.util.JSONType>>();
  const versionOf = new Map<string, string>();

  function expect(more: Expectations): void {
    for (const [who, answers] of Object.entries(more)) {
      for (const [picture, answer] of Object.entries(answers)) remember(who, picture, answer);
    }
  }

  function remember(who: string, picture: string, answer: z.core.util.JSONType): void {
    const answers = expectations.get(who) ?? new Map();
    if (!expectations.has(who) && expectations.size >= MAX_RELEASES) return;
    expectations.set(who, answers.set(picture, answer));
  }

  function expected({ release, modelVersion }: Named, picture: string) {
    for (const who of [release, modelVersion]) {
      const answers = expectations.get(who);
      const answer = answers?.get(picture) ?? answers?.get("*");
      if (answer !== undefined) return answer;
    }
    return undefined;
  }

  function check(picture: string, response: HttpResponse): Verdict {
    if (response.status !== 200) {
      const detail = response.body.toString("utf8").slice(0, 200);
      return { wrong: `Status:${response.status}`, detail };
    }
    const release = response.headers.get("aiapp-release");
    const modelVersion = response.headers.get("aiapp-model-version");
    if (!release || !modelVersion) {
      return { wrong: "Unnamed", detail: "no AIApp-Release or no AIApp-Model-Version header" };
    }
    const named = { release, modelVersion };
    if (versionOf.size < MAX_RELEASES && !versionOf.has(release))
      versionOf.set(release, modelVersion);
    const before = versionOf.get(release);
    if (before !== undefined && before !== modelVersion) {
      return { ...named, wrong: "MixedRelease", detail: `was of model ${before}` };
    }
    const answer = answerOf(response.body);
    if (answer === undefined) {
      const detail = response.body.toString("utf8").slice(0, 200);
      return { ...named, wrong: "Unreadable", detail };
    }
    const want = expected(named, picture);
    if (want === undefined) {
      if (!options.learn) return { ...named, wrong: "UnknownRelease" };
      remember(release, picture, answer);
      return named;
    }
    const got = typeof want === "string" ? likeliest(answer) : answer;
    if (equal(want, got, options.tolerance)) return named;
    const detail = `expected ${JSON.stringify(want)}, got ${JSON.stringify(got)}`.slice(0, 400);
    return { ...named, wrong: "WrongAnswer", detail };
  }

  if (options.expectations) expect(options.expectations);
  return { check, expect };
}

/** Only the scores of the response: it also has the duration. */
function answerOf(body: Buffer): z.core.util.JSONType | undefined {
  let json: unknown;
  try {
    json = JSON.parse(body.toString("utf8"));
  } catch {
    return undefined;
  }
  return Scored.safeParse(json).data?.result[0] ?? z.json().safeParse(json).data;
}

/** `[[["7", 98.2], …]]` → `"7"`. */
function likeliest(answer: unknown): unknown {
  let inner = answer;
  while (Array.isArray(inner)) inner = inner[0];
  return inner;
}

function equal(want: unknown, got: unknown, tolerance: number): boolean {
  if (typeof want === "number" && typeof got === "number") {
    return Math.abs(want - got) <= tolerance;
  }
  if (Array.isArray(want) && Array.isArray(got)) {
    return want.length === got.length && want.every((item, at) => equal(item, got[at], tolerance));
  }
  if (isRecord(want) && isRecord(got)) {
    const keys = Object.keys(want);
    return (
      keys.length === Object.keys(got).length &&
      keys.every((key) => equal(want[key], got[key], tolerance))
    );
  }
  return isDeepStrictEqual(want, got);
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
