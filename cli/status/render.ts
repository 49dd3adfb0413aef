import type { AIApp } from "../../crds/aiapp/aiapp.ts";
import type {
  Condition,
  KeptStatus,
  ReleaseStatus,
  ServedStatus,
  SourceStatus,
} from "../../crds/aiapp/status.ts";
import { parseTime } from "../../crds/grammar/rfc3339.ts";
import { sanitizeStrings } from "../app.ts";
import { commandOf, heldRelease } from "../control/releases.ts";
import { ageOf, formatDuration, shortDigest } from "../format.ts";
import { shellWord } from "../shell.ts";
import { sanitizeLine, type Style } from "../terminal.ts";
import { conditionOf, isCurrent, isProblem, isReady } from "./conditions.ts";
import { hintFor } from "./hints.ts";

/** What an AIApp serves, what is rolling out, the state of its sources, its problems, and what to do next. */
export function renderStatus(untrusted: AIApp, now: number, style: Style): string {
  const app = sanitizeStrings(untrusted);
  const { metadata, status } = app;
  const candidate = status?.candidate?.id === status?.current?.id ? undefined : status?.candidate;
  const problems = (status?.conditions ?? []).filter(isProblem);
  const explained = candidate && conditionFor(candidate, app)?.message;
  const sections = [
    [
      `${style.strong(metadata.name)} in ${metadata.namespace}: ${headline(app, style)}`,
      ...(status?.url ? [field("url", status.url)] : []),
      ...(status?.replicas === undefined
        ? []
        : [field("replicas", `${status.readyReplicas ?? 0} of ${status.replicas} ready`)]),
      ...others(status, style),
    ],
    [
      style.strong("Serving"),
      ...(status?.current ? release(status.current, now, style) : ["  nothing yet"]),
      ...keptAlone(app),
    ],
    candidate && [
      `${style.strong("Candidate")} ${style.notice(candidate.phase)}`,
      ...release(candidate, now, style),
      ...(status?.nextReleaseTime
        ? [field("scheduled", scheduledAt(status.nextReleaseTime, now))]
        : []),
      ...because(candidate, app, style),
    ],
    [style.strong("Sources"), ...sources(app, now, style)],
    problems.length > 0 && [
      style.strong("Conditions"),
      ...problems.flatMap((condition) =>
        problem(condition, app, condition.message === explained, now, style),
      ),
    ],
    problems.some(({ reason }) => reason === "Held" || reason === "HoldInvalid")
      ? undefined
      : held(app, style),
    ...quarantined(app, style),
    nextStep(app, problems.length > 0),
  ];
  return `${sections
    .filter((section) => section !== undefined && section !== false)
    .map((section) => section.join("\n"))
    .join("\n\n")}\n`;
}

/** What happened to pods that serve all the same. */
function others(status: AIApp["status"], style: Style): readonly string[] {
  const { disruptions, unmanagedEntries, overriddenFields } = status ?? {};
  return [
    ...(disruptions ? [field("pods", style.notice(sanitizeLine(disruptions.message)))] : []),
    ...(unmanagedEntries
      ? [field("added", style.notice(`${sanitizeLine(unmanagedEntries.join(", "))}, by others`))]
      : []),
    ...(overriddenFields
      ? [
          field(
            "changed",
            style.notice(
              `${sanitizeLine(overriddenFields.join("; "))}, by a policy of the cluster`,
            ),
          ),
        ]
      : []),
  ];
}

/** Why the candidate is where it is: from the condition, which knows what is awaited, or from its journal. */
function because(candidate: ReleaseStatus, app: AIApp, style: Style): readonly string[] {
  const condition = conditionFor(candidate, app);
  const why = condition?.message ?? candidate.message;
  const hint = condition === undefined ? undefined : hintFor(condition, app);
  return [
    ...(why ? indented(why, "    ") : []),
    ...(candidate.by ? [`    ${style.faint(`by ${candidate.by}`)}`] : []),
    ...(hint ? [`    ${style.strong("→")} ${hint}`] : []),
  ];
}

function conditionFor({ phase }: ReleaseStatus, { status }: AIApp): Condition | undefined {
  return status?.conditions?.find(
    (condition) =>
      condition.type === "Released" && condition.status === "False" && condition.reason === phase,
  );
}

function scheduledAt(time: string, now: number): string {
  const ms = (parseTime(time) ?? Number.NaN) - now;
  return ms > 0 ? `at ${time}, in ${formatDuration(ms)}` : `at ${time}`;
}

/** For when no condition says so: the held release is the one that spec and sources ask for. */
function held(app: AIApp, style: Style): readonly string[] | undefined {
  const id = heldRelease(app);
  return id === undefined
    ? undefined
    : [
        `${style.notice("Held")} at release ${id}: the operator releases nothing else`,
        `  ${style.strong("→")} ${commandOf(app, "resume")}`,
      ];
}

/** `history` has them all. */
const MAX_QUARANTINED = 5;

function quarantined(app: AIApp, style: Style): readonly (readonly string[])[] {
  const all = app.status?.quarantined ?? [];
  const more = all.length - MAX_QUARANTINED;
  return [
    ...all
      .slice(0, MAX_QUARANTINED)
      .map(({ id, reason, message }) => [
        `${style.bad("Quarantined")} ${id}: ${reason}`,
        ...indented(message, "  "),
        `  ${style.strong("→")} ${commandOf(app, "retry", id)}`,
      ]),
    ...(more > 0 ? [[`${more} more failed: ${commandOf(app, "history")}`]] : []),
  ];
}

function field(label: string, value: string): string {
  return `  ${label.padEnd(9)} ${value}`;
}

function indented(text: string, indent: string): readonly string[] {
  return text.split("\n").map((line) => indent + line);
}

function release(shown: ServedStatus, now: number, style: Style): readonly string[] {
  return [
    field("release", `${shown.id} ${style.faint(`for ${ageOf(shown.since, now)}`)}`),
    field("image", `${shown.image} ${style.faint(shortDigest(shown.imageDigest))}`),
    field("model", `${shown.modelVersion} ${style.faint(shortDigest(shown.modelDigest))}`),
    ...kept("image", shown.kept?.image, style),
    ...kept("model", shown.kept?.model, style),
  ];
}

/** No problem, but worth a line: the copy is the last one. */
function keptAlone(app: AIApp): readonly string[] {
  const recoverable = conditionOf(app, "Recoverable");
  return recoverable?.reason === "Kept" ? indented(recoverable.message, "    ") : [];
}

/** Whether what the release needs outlives a deletion at its source. */
function kept(what: string, status: KeptStatus | undefined, style: Style): readonly string[] {
  if (status === undefined) return [];
  const { state, message } = status;
  switch (state) {
    case "Kept":
      return [field("kept", `${what}: ${message}`)];
    case "Copying":
      return [field("kept", `${what}: not yet, ${message}`)];
    case "Refused":
    case "Impossible":
    case "Lost":
      return [field("not kept", `${style.notice(what)}: ${message}`)];
  }
}

function sources(app: AIApp, now: number, style: Style): readonly string[] {
  const { spec, status } = app;
  const model = `${spec.model.store}/${spec.model.name} ${spec.modelVersion}`;
  return [
    ...source("image", spec.image, status?.sources?.image, now, style),
    ...source("model", model, status?.sources?.model, now, style),
    field("polling", polling(app, now, style)),
  ];
}

/**
 * The operator writes the time of a poll only together with another change, so an old time is not an outage. The
 * time of the next poll is worth a line while it is in the future: when a failing source backs off.
 */
function source(
  label: string,
  configured: string,
  seen: SourceStatus | undefined,
  now: number,
  style: Style,
): readonly string[] {
  const next = (parseTime(seen?.nextCheckAt ?? "") ?? Number.NaN) - now;
  const details = [
    seen?.seen && `newest ${seen.seen}`,
    seen?.digest && shortDigest(seen.digest),
    seen?.lastCheckedAt && `last change ${ageOf(seen.lastCheckedAt, now)} ago`,
    next > 0 && `next poll in ${formatDuration(next)}`,
  ].filter((part) => typeof part === "string" && part !== "");
  return [
    field(label, seen?.reference ?? configured),
    ...(details.length > 0 ? [field("", style.faint(details.join(", ")))] : []),
    ...(seen?.lastError ? [field("", style.bad(`error: ${seen.lastError}`))] : []),
  ];
}

/** Whether polling works is what `SourcesReady` reports; a poll without a change leaves no trace in status. */
function polling(app: AIApp, now: number, style: Style): string {
  const condition = conditionOf(app, "SourcesReady");
  const every = `every ${app.spec.interval}`;
  if (condition === undefined || condition.status === "Unknown") {
    return `${every}, ${style.notice("waiting for the first poll")}`;
  }
  const age = ageOf(condition.lastTransitionTime, now);
  if (condition.status === "False") {
    return `${every}, ${style.bad(`failing for ${age}: ${condition.reason}`)}`;
  }
  return `${every}, succeeding for ${age} ${style.faint("(the metric aiapp_polls_total counts each poll)")}`;
}

function headline(app: AIApp, style: Style): string {
  const { metadata, spec, status } = app;
  if (metadata.deletionTimestamp) return style.notice("being deleted");
  if (!status || status.observedGeneration < 0) {
    return style.notice("no operator has reconciled it yet");
  }
  const notes = [
    spec.suspend ? "suspended" : undefined,
    isCurrent(app) ? undefined : "the operator has not reconciled the latest change yet",
  ].filter((note) => note !== undefined);
  const suffix = notes.length > 0 ? ` (${notes.join("; ")})` : "";
  const ready = conditionOf(app, "Ready");
  if (ready?.status === "True") return style.good("Ready") + suffix;
  const stalled = conditionOf(app, "Stalled");
  if (stalled?.status === "True") return style.bad(`Stalled, ${stalled.reason}`) + suffix;
  return style.notice(ready ? `not ready, ${ready.reason}` : "not ready") + suffix;
}

/** @param isExplained the candidate's section has its message and its hint */
function problem(
  condition: Condition,
  app: AIApp,
  isExplained: boolean,
  now: number,
  style: Style,
): readonly string[] {
  const { type, status, reason, message, lastTransitionTime } = condition;
  const hint = hintFor(condition, app);
  const paint = type === "Reconciling" ? style.notice : style.bad;
  const line = `  ${paint(`${type}=${status}`)} ${reason} ${style.faint(`for ${ageOf(lastTransitionTime, now)}`)}`;
  if (isExplained) return [line];
  return [
    line,
    ...indented(message, "    "),
    ...(hint ? [`    ${style.strong("→")} ${hint}`] : []),
  ];
}

function nextStep(app: AIApp, hasProblems: boolean): readonly string[] | undefined {
  const { status, metadata } = app;
  if (!status || status.observedGeneration < 0) {
    return [
      `Is the operator running? Is ${metadata.namespace} one of its tenantNamespaces?`,
      "  kubectl get pods --all-namespaces --selector app.kubernetes.io/name=aiapp-operator",
      "  helm get values aiapp-operator --namespace aiapp-system",
    ];
  }
  if (hasProblems) {
    const names = `${shellWord(metadata.name)} --namespace ${shellWord(metadata.namespace)}`;
    return [`Events: kubectl describe aiapp ${names}`];
  }
  if (!isReady(app) || !status.url) return undefined;
  return [`Try it: curl ${shellWord(`${status.url.replace(/\/$/, "")}/version`)}`];
}
