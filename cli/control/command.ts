import { setTimeout as delay } from "node:timers/promises";

import type { AIApp } from "../../crds/aiapp/aiapp.ts";
import { readApp } from "../app.ts";
import { CliError, exitCodes } from "../errors.ts";
import { formatDuration } from "../format.ts";
import type { Annotations, Cluster, KubeTarget } from "../kube.ts";
import { openCluster } from "../kube.ts";
import type { Terminal } from "../terminal.ts";
import { safeJson, sanitizeLine } from "../terminal.ts";
import { decide, type Request } from "./decide.ts";
import { kubectlCommand } from "./kubectl.ts";
import { commandOf, describeApp, describeRelease, findRelease } from "./releases.ts";
import type { Verb } from "./verbs.ts";
import { waitForAnswer } from "./wait.ts";

export interface ControlFlags extends KubeTarget {
  readonly wait: boolean;
  /** Milliseconds. */
  readonly timeout: number;
  readonly output: "text" | "json";
  /** Of `release`. */
  readonly now?: boolean;
}

/** @returns the exit code: 0, or 4 when the operator has not answered within the timeout of --wait. */
export async function controlCommand(
  verb: Verb,
  name: string,
  release: string | undefined,
  flags: ControlFlags,
  terminal: Terminal,
  now: () => number,
  signal: AbortSignal,
): Promise<number> {
  const isNow = flags.now === true;
  if (verb === "release" && !isNow && release !== undefined) {
    const fix = "Add --now to roll it out now, or leave the release out to poll the sources.";
    throw new CliError("Usage", "release takes a release with --now only", fix);
  }
  const cluster = await openCluster(flags);
  const { namespace } = cluster;
  const app = await readApp(name, cluster, signal);
  const time = new Date(now()).toISOString();
  const request = decide(app, { verb, release, now: isNow, time });
  const isChanged = differs(app, request.annotations);
  if (isChanged) await cluster.annotate(name, request.annotations, signal);
  const kubectl = kubectlCommand(name, namespace, request.annotations, flags);
  if (flags.output === "text") printRequest(request, isChanged, kubectl, terminal);
  const answer = flags.wait
    ? await answerTo(request, name, cluster, flags, terminal, now, signal)
    : undefined;
  if (flags.output === "json") {
    const { release, annotations, next } = request;
    const phase = answer && release && findRelease(answer, release)?.phase;
    const answered = flags.wait ? answer !== undefined : undefined;
    const result = { name, namespace, command: verb, release, changed: isChanged };
    terminal.out(`${safeJson({ ...result, annotations, next, kubectl, answered, phase })}\n`);
  } else if (answer !== undefined) {
    terminal.out(
      `  ${sanitizeLine(`The operator has answered: ${outcomeOf(answer, request)}.`)}\n`,
    );
  }
  if (!flags.wait || answer !== undefined) return exitCodes.ok;
  terminal.err(`${sanitizeLine(unanswered(app, flags.timeout))}\n`);
  return exitCodes.unanswered;
}

function differs({ metadata }: AIApp, wanted: Annotations): boolean {
  const present = metadata.annotations ?? {};
  return Object.entries(wanted).some(([key, value]) => (present[key] ?? null) !== value);
}

function printRequest(
  { done, next }: Request,
  isChanged: boolean,
  kubectl: string,
  { out, style }: Terminal,
): void {
  const suffix = isChanged ? "" : " The annotation was so already.";
  out(`${style.strong(sanitizeLine(done))}${suffix}\n`);
  for (const line of next) out(`  ${sanitizeLine(line)}\n`);
  out(`  ${style.faint(`The same with kubectl: ${sanitizeLine(kubectl)}`)}\n`);
}

/** Waits for the operator, and throws if it rejects the request. Undefined: no answer in time. */
async function answerTo(
  request: Request,
  name: string,
  cluster: Cluster,
  { timeout }: ControlFlags,
  terminal: Terminal,
  now: () => number,
  signal: AbortSignal,
): Promise<AIApp | undefined> {
  const progress = progressOn(terminal, timeout);
  try {
    const answer = await waitForAnswer(
      (aborted) => readApp(name, cluster, aborted),
      (app) => request.rejection?.(app) !== undefined || request.isAnswered(app),
      { timeoutMs: timeout, now, sleep, onWait: progress.show },
      signal,
    );
    const why = answer && request.rejection?.(answer);
    if (answer === undefined || why === undefined) return answer;
    const fix = `See what it does: ${commandOf(answer, "status")}.`;
    throw new CliError("RequestRejected", `The operator cannot do it: ${why}`, fix);
  } finally {
    progress.end();
  }
}

async function sleep(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal });
}

interface Progress {
  readonly show: (elapsedMs: number) => void;
  readonly end: () => void;
}

/** One line that a terminal redraws; one line in all elsewhere. */
function progressOn({ interactive, err }: Terminal, timeoutMs: number): Progress {
  const limit = formatDuration(timeoutMs);
  let isShown = false;
  return {
    show(elapsedMs) {
      if (interactive)
        err(`${CLEAR_LINE}Waiting for the operator, ${formatDuration(elapsedMs)} of ${limit}`);
      else if (!isShown) err(`Waiting for the operator, at most ${limit}\n`);
      isShown = true;
    },
    end() {
      if (isShown && interactive) err(CLEAR_LINE);
    },
  };
}

const CLEAR_LINE = "\r\u001b[2K";

function outcomeOf(answer: AIApp, { release }: Request): string {
  const found = release === undefined ? undefined : findRelease(answer, release);
  if (found !== undefined) return `${describeRelease(found)} is ${found.phase}`;
  const released = answer.status?.conditions?.find(({ type }) => type === "Released");
  return released?.message ?? "it has reconciled";
}

function unanswered(app: AIApp, timeoutMs: number): string {
  const fix = `the annotation is set, and it acts on it once it runs: ${commandOf(app, "status")}`;
  return `The operator did not answer for ${describeApp(app)} in ${formatDuration(timeoutMs)}; ${fix}`;
}
