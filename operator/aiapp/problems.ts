import type { AIAppStatus, Condition } from "../../crds/aiapp/status.ts";
import type { ConditionType } from "../../crds/conditions.ts";
import { parseTime } from "../../crds/grammar/rfc3339.ts";
import type { Metrics } from "../metrics.ts";

/** What alerts are about, in the words of the label `problem`. */
export type ProblemName =
  /** No pod of the current release serves. */
  | "Outage"
  /** No release has served yet. */
  | "NotReady"
  /** The release that spec and sources ask for has failed. */
  | "ReleaseFailed"
  /** Only a user can help. */
  | "Stalled"
  | "AwaitingApproval"
  | "SourcesFailing"
  /** A pod that starts elsewhere would not find all that it needs. */
  | "Unrecoverable"
  | "NotificationsFailing";

export interface Problem {
  readonly problem: ProblemName;
  readonly reason: string;
  /** Seconds since the epoch. */
  readonly since: number;
}

/** Reads the problems of an app off its status. An app at rest has none. */
export function problemsOf(status: AIAppStatus): readonly Problem[] {
  const ready = find(status, "Ready");
  const released = find(status, "Released");
  const stalled = find(status, "Stalled");
  const sources = find(status, "SourcesReady");
  const problems: Problem[] = [];
  if (ready?.status === "False")
    problems.push(fromCondition(status.current === undefined ? "NotReady" : "Outage", ready));
  // Failed releases stay quarantined when they are no longer asked for: the condition names the one that is.
  const failed =
    released?.status === "False"
      ? status.quarantined?.find(({ id }) => released.message.includes(id))
      : undefined;
  if (failed !== undefined && status.candidate === undefined)
    problems.push(problemOf("ReleaseFailed", failed.reason, failed.since));
  if (stalled?.status === "True") problems.push(fromCondition("Stalled", stalled));
  if (status.candidate?.phase === "AwaitingApproval")
    problems.push(problemOf("AwaitingApproval", "AwaitingApproval", status.candidate.since));
  if (sources?.status === "False") problems.push(fromCondition("SourcesFailing", sources));
  const recoverable = find(status, "Recoverable");
  if (recoverable?.status === "False") problems.push(fromCondition("Unrecoverable", recoverable));
  const notified = find(status, "Notified");
  if (notified?.status === "False") problems.push(fromCondition("NotificationsFailing", notified));
  return problems;
}

function find({ conditions }: AIAppStatus, type: ConditionType): Condition | undefined {
  return conditions?.find((condition) => condition.type === type);
}

function fromCondition(problem: ProblemName, { reason, lastTransitionTime }: Condition): Problem {
  return problemOf(problem, reason, lastTransitionTime);
}

function problemOf(problem: ProblemName, reason: string, since: string): Problem {
  return { problem, reason, since: (parseTime(since) ?? 0) / 1000 };
}

/** So many apps get series of their own: more at once are one fault of something that they share. */
const MAX_APPS = 2000;

/**
 * Gauges of the apps that have a problem. An app at rest has no series, so that ten thousand apps cost a few hundred bytes
 * a scrape, not as many lines as apps times conditions.
 */
export class ProblemGauges {
  readonly #apps = new Map<string, readonly Problem[]>();

  constructor(metrics: Pick<Metrics, "observe" | "apps" | "problems">) {
    metrics.observe(() => this.#set(metrics));
  }

  /** @param key `namespace/name` */
  note(key: string, status: AIAppStatus): void {
    this.#apps.set(key, problemsOf(status));
  }

  forget(key: string): void {
    this.#apps.delete(key);
  }

  #set({ apps, problems: gauge }: Pick<Metrics, "apps" | "problems">): void {
    apps.set(this.#apps.size);
    gauge.reset();
    let shown = 0;
    for (const [key, problems] of this.#apps) {
      if (problems.length === 0) continue;
      if ((shown += 1) > MAX_APPS) return;
      const [app_namespace = "", app = ""] = key.split("/");
      for (const { problem, reason, since } of problems)
        gauge.set({ app_namespace, app, problem, reason }, since);
    }
  }
}
