import type { z } from "zod";

import { AIAppStatus, type Condition } from "../../crds/aiapp.ts";
import { podReasons, type ConditionType, type Reason } from "../../crds/conditions.ts";
import { reasonOf } from "../errors.ts";
import type { KubernetesObject } from "../kube/types.ts";
import type { Observed } from "./observed.ts";
import type { Conflict } from "./steps/conflict.ts";
import type { Trouble } from "./steps/diagnose.ts";
import type { PairFound } from "./steps/pair.ts";
import type { Progress } from "./steps/progress.ts";
import type { Records } from "./steps/records.ts";
import type { Target } from "./steps/target.ts";

/** All that conditions are told from. */
export interface Findings {
  readonly observed: Observed;
  readonly pair: PairFound;
  readonly conflict: Conflict | undefined;
  readonly target: Target;
  readonly progress: Progress;
  readonly records: Records;
  readonly trouble: Trouble | undefined;
  readonly now: number;
}

export interface Verdict {
  readonly status: "True" | "False" | "Unknown";
  readonly reason: Reason;
  readonly message: string;
}

/** A check tells its verdict, or leaves it to the next in the chain. */
type Check = (findings: Findings) => Verdict | undefined;

function yes(reason: Reason, message: string): Verdict {
  return { status: "True", reason, message };
}
function no(reason: Reason, message: string): Verdict {
  return { status: "False", reason, message };
}

/** What must change before anything gets better by itself: with nothing serving, the app is stalled. */
const lasting: ReadonlySet<Reason> = new Set([
  "ImageNotFound",
  "ModelNotFound",
  "BadManifest",
  "AmbiguousVersions",
  "ModelMutated",
  "DowngradeRefused",
  "TooManyTags",
  "RegistryAuthFailed",
  "StorageAuthFailed",
  "SecretNotFound",
  "SecretInvalid",
  "CredentialsMissing",
  "HostNotAllowed",
  "InvalidSpec",
]);

function describe({ target: { release } }: Findings): string {
  return release === undefined
    ? "nothing"
    : `release ${release.id} (model version ${release.modelVersion})`;
}

function pods({ progress: { replicas } }: Findings): string {
  return `${replicas.updated} of ${replicas.wanted} pods are new, ${replicas.available} serve`;
}

const conflicting: Check = ({ conflict }) => conflict && no("NameConflict", conflict.message);

/** Reasons of a rollout under way. */
const rolling: ReadonlySet<Reason> = new Set(["RollingOut", ...podReasons]);

function saidOfThisSpec({ observed: { app } }: Findings): Verdict | undefined {
  return app.status?.observedGeneration === app.metadata.generation
    ? before("Released", app.status.conditions)
    : undefined;
}

const released: readonly Check[] = [
  conflicting,
  ({ target: { refusal } }) => refusal && no(refusal.reason, refusal.message),
  (findings) => {
    const { waiting } = findings.pair;
    if (waiting === undefined) return undefined;
    const said = saidOfThisSpec(findings);
    // Not knowing is no reason to take back what was said of the same spec, nor to forget what is rolling out for it.
    if (said?.status === "True" || said?.reason === "Suspended") return said;
    return said !== undefined && rolling.has(said.reason)
      ? undefined
      : no(waiting.reason, waiting.message);
  },
  (findings) =>
    findings.progress.isOut ? yes("Released", `${describe(findings)} is out`) : undefined,
  ({ observed: { app } }) =>
    app.spec.suspend
      ? no("Suspended", "spec.suspend is true: set it to false to release")
      : undefined,
  ({ trouble }) => trouble && no(trouble.reason, trouble.message),
  (findings) => no("RollingOut", `${describe(findings)} is rolling out: ${pods(findings)}`),
];

const available: readonly Check[] = [
  ({ progress: { replicas } }) =>
    replicas.available > 0
      ? yes("MinimumReplicasAvailable", `${replicas.available} of ${replicas.wanted} pods serve`)
      : undefined,
  ({ progress: { replicas, isOut } }) =>
    isOut && replicas.wanted === 0 ? no("NoReplicas", "spec.replicas is 0") : undefined,
  () => no("MinimumReplicasUnavailable", "no pod serves"),
];

const ready: readonly Check[] = [
  conflicting,
  (findings) => {
    const { progress, records } = findings;
    const serves = records.current !== undefined && progress.replicas.available > 0;
    if (serves)
      return yes(
        "Serving",
        `release ${records.current.id} (model version ${records.current.modelVersion}) serves`,
      );
    return progress.isOut ? yes("NoReplicas", "scaled to no pods, as asked") : undefined;
  },
  ({ trouble }) => trouble && no(trouble.reason, trouble.message),
  ({ target: { release, refusal }, pair: { waiting } }) => {
    const why = refusal ?? waiting;
    return release === undefined && why ? no(why.reason, why.message) : undefined;
  },
  ({ records }) =>
    records.current === undefined
      ? undefined
      : no("MinimumReplicasUnavailable", "no pod of the current release serves"),
  (findings) => no("RollingOut", `${describe(findings)} is rolling out: ${pods(findings)}`),
];

const sourcesReady: readonly Check[] = [
  ({ observed: { image, model } }) => {
    const failing = [image, model].flatMap(({ error }) => (error === undefined ? [] : [error]));
    const [first] = failing;
    if (first === undefined) return undefined;
    return no(
      reasonOf(first.code) ?? "WaitingForSources",
      failing.map(({ message }) => message).join("; "),
    );
  },
  ({ observed: { image, model } }) =>
    image.value !== undefined && model.value !== undefined
      ? yes("Polled", "the registry and the store answer")
      : {
          status: "Unknown",
          reason: "WaitingForSources",
          message: "the registry and the store are being looked at",
        },
];

function judge(checks: readonly Check[], findings: Findings): Verdict {
  for (const check of checks) {
    const verdict = check(findings);
    if (verdict !== undefined) return verdict;
  }
  throw new TypeError("a chain of checks ends in one that always tells");
}

function before(
  type: ConditionType,
  conditions: readonly Condition[] | undefined,
): Verdict | undefined {
  const found = conditions?.find((condition) => condition.type === type);
  // Reasons were ours when they were written.
  return found && { status: found.status, reason: found.reason as Reason, message: found.message };
}

/** Present only while True (kstatus): nothing moves until somebody changes something. */
function stalled(findings: Findings, ready: Verdict): Verdict | undefined {
  if (ready.status === "True") return undefined;
  const { conflict, trouble, pair, target } = findings;
  if (conflict !== undefined)
    return conflict.passing ? undefined : yes("NameConflict", conflict.message);
  if (trouble !== undefined && !trouble.passing) return yes(trouble.reason, trouble.message);
  const why = target.refusal ?? pair.waiting;
  return target.release === undefined && why !== undefined && lasting.has(why.reason)
    ? yes(why.reason, why.message)
    : undefined;
}

function reconciling(findings: Findings): Verdict | undefined {
  const { observed, conflict, trouble, pair, target, progress } = findings;
  if (observed.app.spec.suspend) return undefined;
  if (conflict?.passing === true) return yes("NameConflict", conflict.message);
  if (pair.waiting?.reason === "WaitingForSources")
    return yes("WaitingForSources", pair.waiting.message);
  if (
    pair.waiting !== undefined &&
    !lasting.has(pair.waiting.reason) &&
    target.release === undefined
  ) {
    return yes(pair.waiting.reason, pair.waiting.message);
  }
  if (target.release === undefined || progress.isOut) return undefined;
  if (trouble !== undefined)
    return trouble.passing ? yes(trouble.reason, trouble.message) : undefined;
  return yes("Progressing", `${describe(findings)} is rolling out: ${pods(findings)}`);
}

/** Every condition, with the time of its last transition taken over where nothing turned. */
export function buildConditions(findings: Findings): Condition[] {
  const { app } = findings.observed;
  const verdicts = new Map<ConditionType, Verdict>();
  const readyVerdict = judge(ready, findings);
  verdicts.set("Ready", readyVerdict);
  verdicts.set("Available", judge(available, findings));
  verdicts.set("Released", judge(released, findings));
  verdicts.set("SourcesReady", judge(sourcesReady, findings));
  const stuck = stalled(findings, readyVerdict);
  const moving = stuck === undefined ? reconciling(findings) : undefined;
  if (moving !== undefined) verdicts.set("Reconciling", moving);
  if (stuck !== undefined) verdicts.set("Stalled", stuck);
  const time = new Date(findings.now).toISOString().replace(/\.\d+Z$/, "Z");
  return [...verdicts].map(([type, { status, reason, message }]) => {
    const old = app.status?.conditions?.find((condition) => condition.type === type);
    return {
      type,
      status,
      reason,
      message: message.slice(0, 4096),
      observedGeneration: app.metadata.generation,
      lastTransitionTime: old?.status === status ? old.lastTransitionTime : time,
    };
  });
}

/** An AIApp that does not fit the schema: it was stored under an older one. What was known of it stays. */
export function invalidStatus(
  object: KubernetesObject,
  error: z.ZodError,
  now: number,
): AIAppStatus {
  const [issue] = error.issues;
  const message = `spec is not valid: ${issue?.path.join(".") ?? ""} ${issue?.message ?? ""}; correct it and apply again`;
  const generation: unknown = Reflect.get(object.metadata ?? {}, "generation");
  const before = AIAppStatus.safeParse(Reflect.get(object, "status")).data;
  const observedGeneration = typeof generation === "number" ? generation : 0;
  return refusedStatus({ ...before, observedGeneration }, before, message, now, "InvalidSpec");
}

/** The API server refuses what the spec asks for: nothing moves until the spec or the operator's rights change. */
export function refusedStatus(
  status: AIAppStatus,
  before: AIAppStatus | undefined,
  message: string,
  now: number,
  reason: Reason = "ApplyRefused",
): AIAppStatus {
  const time = new Date(now).toISOString().replace(/\.\d+Z$/, "Z");
  const turned = (type: ConditionType, status: Condition["status"]): string => {
    const old = before?.conditions?.find((condition) => condition.type === type);
    return old?.status === status ? old.lastTransitionTime : time;
  };
  const kept = (status.conditions ?? []).filter(
    ({ type }) => type !== "Reconciling" && type !== "Stalled" && type !== "Released",
  );
  const refusal = {
    reason,
    message: message.slice(0, 4096),
    observedGeneration: status.observedGeneration,
  };
  return {
    ...status,
    conditions: [
      ...kept,
      {
        type: "Released",
        status: "False",
        lastTransitionTime: turned("Released", "False"),
        ...refusal,
      },
      {
        type: "Stalled",
        status: "True",
        lastTransitionTime: turned("Stalled", "True"),
        ...refusal,
      },
    ],
  };
}
