/** The commands that ask the operator for something. Without imports: `aiapp --help` shows them. */
export const verbs = {
  release: {
    summary: "poll now; with --now, roll the candidate out without waiting",
    description:
      "Polls the registry and the store now, and releases what they have as the spec says.\nWith --now, the candidate waits for no settling time, age, approval or window. It is verified all the same.",
    argument: "with --now: the release (default: the candidate)",
  },
  approve: {
    summary: "approve a release (spec.release.approval: Manual)",
    description: "Approves a release, which then begins its rollout.",
    argument: "the release (default: the candidate that awaits approval)",
  },
  rollback: {
    summary: "go back to an earlier release, and hold it",
    description:
      "Goes back to an earlier release at once, without verifying it a second time, and holds it:\nthe operator releases nothing else until `resume`.",
    argument: undefined,
  },
  retry: {
    summary: "try a failed release again",
    description: "Verifies and rolls out a failed release once more.",
    argument: "the release (default: the newest failed one that spec and sources ask for)",
  },
  hold: {
    summary: "keep a release, whatever the sources have",
    description: "Holds a release: the operator runs it, and nothing else, until `resume`.",
    argument: "the release (default: the one that serves)",
  },
  resume: {
    summary: "end a hold or a rollback",
    description: "Ends a hold: the operator releases what spec and sources ask for.",
    argument: undefined,
  },
  abort: {
    summary: "give up the candidate",
    description:
      "Gives the candidate up: the operator ends its verification, or undoes its rollout, and does not try it again.",
    argument: "the release (default: the candidate)",
  },
} as const;

export type Verb = keyof typeof verbs;
