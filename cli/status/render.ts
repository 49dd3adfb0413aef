import type { AIApp, Condition, ReleaseStatus, SourceStatus } from "../../crds/aiapp.ts";
import { formatDuration } from "../format.ts";
import type { Style } from "../terminal.ts";
import { printable } from "../terminal.ts";
import { hintFor } from "./hints.ts";
import { isCurrent, isReady, isWrong } from "./judge.ts";

/** What a person wants to know first: does it serve, what, what comes next, and what to do. */
export function renderStatus(app: AIApp, now: number, style: Style): string {
  const { metadata, spec, status } = app;
  const lines = [
    `${style.strong(metadata.name)} in ${metadata.namespace}: ${headline(app, style)}`,
  ];
  const field = (label: string, value: string): void => {
    lines.push(`  ${label.padEnd(9)} ${printable(value)}`);
  };

  if (status?.url) field("url", status.url);
  if (status?.replicas !== undefined) {
    field("replicas", `${status.readyReplicas ?? 0} of ${status.replicas} ready`);
  }
  lines.push("", style.strong("Serving"));
  if (status?.current) release(status.current, "since");
  else lines.push("  nothing yet");

  if (status?.candidate && status.candidate.id !== status.current?.id) {
    lines.push("", `${style.strong("Coming")} ${style.notice(status.candidate.phase)}`);
    release(status.candidate, "for");
    if (status.nextReleaseTime) field("released", `at ${status.nextReleaseTime}`);
  }

  lines.push("", style.strong("Sources"));
  source("image", spec.image, status?.sources?.image);
  source(
    "model",
    `${spec.model.store}/${spec.model.name} ${spec.modelVersion}`,
    status?.sources?.model,
  );

  const wrong = (status?.conditions ?? []).filter(isWrong);
  if (wrong.length > 0) lines.push("", style.strong("Conditions"));
  for (const condition of wrong) lines.push(...problem(condition, app, now, style));

  for (const bad of status?.quarantined ?? []) {
    lines.push("", `${style.bad("Quarantined")} ${bad.id}: ${bad.reason}`);
    lines.push(`  ${printable(bad.message)}`);
  }
  const next = nextStep(app, wrong.length > 0);
  if (next) lines.push("", next);
  return `${lines.join("\n")}\n`;

  function release(shown: ReleaseStatus, word: string): void {
    field("release", `${shown.id} ${style.faint(`${word} ${age(shown.since, now)}`)}`);
    field("image", `${shown.image} ${style.faint(shortDigest(shown.imageDigest))}`);
    field("model", `${shown.modelVersion} ${style.faint(shortDigest(shown.modelDigest))}`);
  }

  function source(label: string, wanted: string, seen: SourceStatus | undefined): void {
    field(label, seen?.reference ?? wanted);
    if (!seen) {
      field("", style.faint("not checked yet"));
      return;
    }
    const parts = [
      seen.seen ? `newest ${seen.seen}` : undefined,
      seen.digest ? shortDigest(seen.digest) : undefined,
      seen.lastCheckedAt ? `checked ${age(seen.lastCheckedAt, now)} ago` : "not checked yet",
      seen.nextCheckAt ? nextCheck(seen.nextCheckAt, now) : undefined,
    ];
    field("", style.faint(parts.filter((part) => part !== undefined).join(", ")));
    if (seen.lastError) field("", style.bad(`error: ${seen.lastError}`));
  }
}

function headline(app: AIApp, style: Style): string {
  const { metadata, spec, status } = app;
  if (metadata.deletionTimestamp) return style.notice("being deleted");
  if (!status || status.observedGeneration < 0) return style.notice("not seen by an operator yet");
  const notes = [
    spec.suspend ? "suspended" : undefined,
    isCurrent(app) ? undefined : "the operator has not acted on the latest change yet",
  ].filter((note) => note !== undefined);
  const suffix = notes.length > 0 ? ` (${notes.join("; ")})` : "";
  const state = conditionOf(app, "Ready");
  if (state?.status === "True") return style.good("Ready") + suffix;
  const stalled = conditionOf(app, "Stalled");
  if (stalled?.status === "True") return style.bad(`Stalled, ${stalled.reason}`) + suffix;
  return style.notice(state ? `not ready, ${state.reason}` : "not ready") + suffix;
}

function problem(condition: Condition, app: AIApp, now: number, style: Style): string[] {
  const { type, status, reason, message, lastTransitionTime } = condition;
  const hint = hintFor(condition, app);
  const paint = type === "Reconciling" ? style.notice : style.bad;
  return [
    `  ${paint(`${type}=${status}`)} ${reason} ${style.faint(`for ${age(lastTransitionTime, now)}`)}`,
    ...printable(message)
      .split("\n")
      .map((line) => `    ${line}`),
    ...(hint ? [`    ${style.strong("→")} ${printable(hint)}`] : []),
  ];
}

function nextStep(app: AIApp, wrong: boolean): string | undefined {
  const { status, metadata } = app;
  if (!status || status.observedGeneration < 0) {
    return "Is the operator running? kubectl get pods --all-namespaces --selector app.kubernetes.io/name=aiapp-operator";
  }
  if (wrong) {
    return `Events: kubectl describe aiapp ${metadata.name} --namespace ${metadata.namespace}`;
  }
  return isReady(app) && status.url
    ? `Try it: curl ${printable(status.url.replace(/\/$/, ""))}/version`
    : undefined;
}

function conditionOf(app: AIApp, type: Condition["type"]): Condition | undefined {
  return app.status?.conditions?.find((condition) => condition.type === type);
}

function shortDigest(digest: string): string {
  return digest.replace(/^(sha256:[0-9a-f]{12})[0-9a-f]+$/, "$1");
}

function age(since: string, now: number): string {
  const time = Date.parse(since);
  return Number.isNaN(time) ? since : formatDuration(now - time);
}

function nextCheck(at: string, now: number): string {
  const left = Date.parse(at) - now;
  if (Number.isNaN(left)) return `next at ${at}`;
  return left >= 0 ? `next in ${formatDuration(left)}` : `next check ${formatDuration(-left)} late`;
}
