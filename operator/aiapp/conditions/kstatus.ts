import { describeRollout, targetAnswersSpec, targetIsComplete, whyNotChosen } from "./facts.ts";
import { isTrue, type Check, type Findings, type Verdict } from "./findings.ts";

/**
 * `Stalled` and `Reconciling`, as kstatus defines them: present only while True, and never both. With neither, and
 * Ready True, the app is at rest.
 */

const conflictStalls: Check = ({ conflict }) =>
  conflict !== undefined && !conflict.isPassing
    ? isTrue("NameConflict", conflict.message)
    : undefined;

const podsStall: Check = ({ trouble }) =>
  trouble !== undefined && !trouble.isPassing ? isTrue(trouble.reason, trouble.message) : undefined;

const choiceStalls: Check = (findings) => {
  const why = findings.target === undefined ? whyNotChosen(findings) : undefined;
  return why?.needsUser === true ? isTrue(why.reason, why.message) : undefined;
};

const stalled: readonly Check[] = [conflictStalls, podsStall, choiceStalls];

/** Nothing moves until a person changes something. @param ready while True, nobody is stalled */
export function findStalled(findings: Findings, ready: Verdict): Verdict | undefined {
  return ready.status === "True" ? undefined : firstOf(stalled, findings);
}

const conflictPasses: Check = ({ conflict }) =>
  conflict?.isPassing === true ? isTrue("NameConflict", conflict.message) : undefined;

const sourcesAwaited: Check = (findings) => {
  const { waiting } = findings.pair;
  if (waiting === undefined || findings.wanted.refusal !== undefined) return undefined;
  // After a restart nothing has been polled yet: that alone disturbs no app at rest.
  const isAtRest =
    findings.pair.polls.length === 0 && targetAnswersSpec(findings) && targetIsComplete(findings);
  if (waiting.reason === "WaitingForSources" && !isAtRest)
    return isTrue(waiting.reason, waiting.message);
  const why = whyNotChosen(findings);
  return findings.target === undefined && why?.needsUser === false
    ? isTrue(why.reason, why.message)
    : undefined;
};

const podsRecover: Check = ({ trouble }) =>
  trouble?.isPassing === true ? isTrue(trouble.reason, trouble.message) : undefined;

const progressing: Check = (findings) =>
  findings.trouble === undefined && findings.target !== undefined && !targetIsComplete(findings)
    ? isTrue("Progressing", describeRollout(findings))
    : undefined;

const reconciling: readonly Check[] = [conflictPasses, sourcesAwaited, podsRecover, progressing];

/** The operator or the cluster is working on it. */
export function findReconciling(findings: Findings): Verdict | undefined {
  return findings.observed.app.spec.suspend ? undefined : firstOf(reconciling, findings);
}

function firstOf(checks: readonly Check[], findings: Findings): Verdict | undefined {
  for (const check of checks) {
    const verdict = check(findings);
    if (verdict !== undefined) return verdict;
  }
  return undefined;
}
