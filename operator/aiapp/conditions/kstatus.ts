import { candidateWaits, held, rolloutPaused } from "./chains.ts";
import {
  candidatePhase,
  describeRollout,
  describeVerification,
  failedRequested,
  isSpecChange,
  targetAnswersSpec,
  targetIsComplete,
  whyNotChosen,
} from "./facts.ts";
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

/** What the spec asks for now cannot be chosen, and waiting does not help. */
const choiceStalls: Check = (findings) => {
  const why = isSpecChange(findings) ? whyNotChosen(findings) : undefined;
  return why?.needsUser === true ? isTrue(why.reason, why.message) : undefined;
};

/** What the spec asks for now has failed. What only polling found does not stall: the spec is served as before. */
const requestedStalls: Check = (findings) => {
  const failed = isSpecChange(findings) ? failedRequested(findings) : undefined;
  return failed && findings.ledger.candidate === undefined
    ? isTrue(failed.reason, failed.message)
    : undefined;
};

const pauseStalls: Check = (findings) => {
  const verdict = isSpecChange(findings) ? rolloutPaused(findings) : undefined;
  return verdict && isTrue(verdict.reason, verdict.message);
};

const holdStalls: Check = (findings) => {
  const verdict = findings.releases.choice.invalidHold === undefined ? undefined : held(findings);
  return verdict && isTrue(verdict.reason, verdict.message);
};

/** The cluster takes none of the candidate's pods: a person must change the spec or the cluster. */
const candidateRejected: Check = ({ trouble, verification, ledger }) => {
  const found = verification?.kind === "running" ? verification.trouble : trouble;
  return ledger.candidate !== undefined && found?.reason === "PodsRejected"
    ? isTrue(found.reason, found.message)
    : undefined;
};

/** Only of what the spec asks for. What polling found may wait while the spec is served as before. */
const podsRejected: Check = (findings) =>
  isSpecChange(findings) ? candidateRejected(findings) : undefined;

/** These hold whether or not something serves: the user's change has not come out, and will not. */
const changeStalled: readonly Check[] = [
  choiceStalls,
  requestedStalls,
  holdStalls,
  podsRejected,
  pauseStalls,
];
const nothingServes: readonly Check[] = [conflictStalls, podsStall];

/** Nothing moves until a person changes something. */
export function findStalled(findings: Findings, ready: Verdict): Verdict | undefined {
  const serves = ready.status === "True";
  return (
    (serves ? undefined : firstOf(nothingServes, findings)) ?? firstOf(changeStalled, findings)
  );
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
  findings.trouble === undefined &&
  findings.target !== undefined &&
  !targetIsComplete(findings) &&
  rolloutPaused(findings) === undefined
    ? isTrue("Progressing", describeRollout(findings))
    : undefined;

const candidateProgresses: Check = (findings) => {
  const { trouble } = findings;
  const phase = candidatePhase(findings);
  // Nothing moves: `Released` reports it.
  if (candidateRejected(findings) !== undefined) return undefined;
  if (phase === "Verifying") return isTrue(phase, describeVerification(findings));
  // A fault of a node, the registry or the store: the release waits for it to pass.
  return phase === "RollingOut" && trouble?.isInfrastructure === true
    ? isTrue(trouble.reason, trouble.message)
    : undefined;
};

/** What polling found waits while the spec is served as before; a user's change is still to come out. */
const changeWaits: Check = (findings) => {
  const verdict = isSpecChange(findings) ? candidateWaits(findings) : undefined;
  return verdict && isTrue(verdict.reason, verdict.message);
};

const reconciling: readonly Check[] = [
  conflictPasses,
  sourcesAwaited,
  candidateProgresses,
  changeWaits,
  podsRecover,
  progressing,
];

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
