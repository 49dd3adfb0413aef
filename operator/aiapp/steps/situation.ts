import type { AIApp } from "../../../crds/aiapp/aiapp.ts";
import { backoffMs } from "../backoff.ts";
import type { DeliveryView } from "../../notify/delivery.ts";
import type { Intents } from "../intents.ts";
import type { Facts, State } from "../release/advance.ts";
import { choose, type Choice } from "../release/choose.ts";
import { gatesOf, type Gates } from "../release/gates.ts";
import { requestOf, type Release } from "../release/identity.ts";
import { isAnswered, phaseOf, phaseSince, type Ledger } from "../release/ledger.ts";
import type { ReleaseRecord } from "../release/record.ts";
import type { Timing } from "../release/timing.ts";
import type { PullerSettings } from "../resources/template.ts";
import type { Trouble } from "./diagnose.ts";
import { isComplete, type Rollout } from "../strategies/arrange.ts";
import type { Judgement } from "../strategies/strategy.ts";
import { attemptOf, type VerificationState } from "./verification.ts";

export interface Situation {
  readonly app: AIApp;
  /** What the spec and the sources ask for. */
  readonly requested: Release | undefined;
  readonly intents: Intents;
  readonly rollout: Rollout;
  readonly trouble: Trouble | undefined;
  readonly judgement: Judgement | undefined;
  readonly verification: VerificationState | undefined;
  readonly deliveries: DeliveryView;
  /** Computed when a release is about to begin: at rest it is not needed. */
  readonly timing: () => Timing;
  readonly puller: PullerSettings;
  readonly now: number;
}

/** Between attempts to verify after a fault of the infrastructure. */
const RETRY = { baseMs: 10_000, maxMs: 5 * 60_000 } as const;

export function choiceOf(ledger: Ledger, { app, requested, intents }: Situation): Choice {
  return choose(app.spec, requested, ledger, intents);
}

export function gatesFor(
  ledger: Ledger,
  subject: Release,
  choice: Choice,
  { app, intents, timing, now }: Situation,
): Gates {
  const record = ledger.all.find(({ id }) => id === subject.id);
  const as = subject.id === choice.release?.id ? choice.as : "requested";
  return gatesOf(app.spec, { id: subject.id, record, as }, ledger, intents, timing(), now);
}

export function factsOf(
  ledger: Ledger,
  subject: Release,
  choice: Choice,
  situation: Situation,
  before: Ledger,
): Facts {
  const { app, requested, intents, rollout, trouble, judgement, verification, now } = situation;
  const { candidate, stable } = ledger;
  // What was observed is of the candidate that was there when it was observed.
  const isObserved = candidate !== undefined && candidate === before.candidate;
  const observed = isObserved ? verification : undefined;
  const { abort } = intents;
  return {
    subject: subject.id,
    wanted: choice.release?.id,
    stable: stable?.id,
    isSpecChanged: candidate !== undefined && candidate.request !== requestOf(app.spec),
    isHeld: choice.as === "held",
    isProbe:
      choice.release?.id === subject.id
        ? choice.isProbe
        : candidate !== undefined && candidate.request === undefined && requested !== undefined,
    gates: gatesFor(ledger, subject, choice, situation),
    verification:
      observed?.kind === "failed" ? { kind: "failed", fault: observed.trouble } : observed,
    isBlocked: trouble !== undefined || (observed !== undefined && isBlocked(observed)),
    rollout: {
      isComplete: isComplete(rollout, subject.id),
      fault: isObserved
        ? (rolloutFault(rollout, trouble, subject.id) ?? worseFault(judgement))
        : undefined,
      next: isObserved && judgement?.kind === "next" ? { message: judgement.message } : undefined,
    },
    isSuspended: app.spec.suspend,
    abort:
      candidate !== undefined && abort?.id === subject.id && !isAnswered(candidate, abort)
        ? { by: abort.by, answers: abort.token }
        : undefined,
    retryAt: candidate === undefined ? now : retryAt(candidate),
    now,
  };
}

function isBlocked(state: VerificationState): boolean {
  return state.kind === "failed" || (state.kind === "running" && state.trouble !== undefined);
}

/** What ends a rollout: pods that fail for good, or no progress for too long. */
function rolloutFault(
  { deployedReleaseId, exceededDeadline }: Rollout,
  trouble: Trouble | undefined,
  id: string,
): Facts["rollout"]["fault"] {
  if (deployedReleaseId !== id) return undefined;
  if (trouble !== undefined && (!trouble.isPassing || trouble.isInfrastructure)) return trouble;
  if (exceededDeadline === undefined) return undefined;
  return {
    reason: "ProgressDeadlineExceeded",
    message: `${exceededDeadline}; see why the pods of the release are not ready, or raise spec.rollout.progressDeadline`,
    isInfrastructure: false,
  };
}

function worseFault(judgement: Judgement | undefined): Facts["rollout"]["fault"] {
  if (judgement?.kind !== "worse") return undefined;
  const { reason, message } = judgement;
  return { reason, message, isInfrastructure: false };
}

export function retryAt(candidate: ReleaseRecord): number {
  return (
    Date.parse(phaseSince(candidate)) +
    backoffMs(attemptOf(candidate) - 1, RETRY.baseMs, RETRY.maxMs)
  );
}

export function stateOf(candidate: ReleaseRecord | undefined): State {
  if (candidate === undefined) return { phase: "None" };
  return { phase: phaseOf(candidate), since: Date.parse(phaseSince(candidate)) };
}
