import {
  candidateIn,
  candidateStates,
  otherStates,
  type AppObject,
  type CandidateState,
  type Change,
  type OtherState,
} from "./phases.ts";

/** What a judge makes of objects, in their order. */
type JudgeAll = (objects: readonly AppObject[]) => Promise<readonly { readonly status: string }[]>;

/** What should come of each state of a candidate, by what brought it about; undefined where that cannot be. */
export type ExpectedOf<Status extends string> = Readonly<
  Record<CandidateState, Readonly<Record<Change, Status | undefined>>>
>;

/** The status of each state that a candidate can be in, and the one that is expected. */
export async function judgeCandidates(
  change: Change,
  expected: ExpectedOf<string>,
  judge: JudgeAll,
): Promise<Record<"found" | "expected", Readonly<Record<string, string | undefined>>>> {
  const cases = candidateStates.flatMap((state) => {
    const object = candidateIn(state, change);
    return object === undefined ? [] : [{ state, object }];
  });
  const answers = await judge(cases.map(({ object }) => object));
  return {
    found: Object.fromEntries(cases.map(({ state }, at) => [state, answers[at]?.status])),
    expected: Object.fromEntries(cases.map(({ state }) => [state, expected[state][change]])),
  };
}

/** The status of each of these states that no candidate explains. */
export async function judgeOthers(
  names: readonly OtherState[],
  judge: JudgeAll,
): Promise<Readonly<Record<string, string | undefined>>> {
  const answers = await judge(names.map((name) => otherStates[name]()));
  return Object.fromEntries(names.map((name, at) => [name, answers[at]?.status]));
}
