import type { AIApp } from "../../crds/aiapp/aiapp.ts";
import type { ReleaseStatus } from "../../crds/aiapp/status.ts";
import { annotations } from "../../crds/names.ts";
import { CliError } from "../errors.ts";
import type { Annotations } from "../kube.ts";
import {
  commandOf,
  describeApp,
  describeRelease,
  findRelease,
  heldRelease,
  isAtSources,
  isOpen,
  isWaiting,
  releasesOf,
  requireRelease,
} from "./releases.ts";
import type { Verb } from "./verbs.ts";

/** What a command asks of the operator: annotations, and what will come of them. */
export interface Request {
  readonly release: string | undefined;
  readonly annotations: Annotations;
  readonly done: string;
  readonly next: readonly string[];
  /** Whether status shows that the operator has acted on it. */
  readonly isAnswered: (app: AIApp) => boolean;
  /** Why the operator cannot do it, if status says so. */
  readonly rejection?: (app: AIApp) => string | undefined;
}

export interface Options {
  readonly verb: Verb;
  /** The release that the user named. */
  readonly release: string | undefined;
  /** Of `release`: without waiting. */
  readonly now: boolean;
  /** RFC 3339: makes a request differ from an earlier one. */
  readonly time: string;
}

const SUSPENDED = "The app is suspended: nothing happens until spec.suspend is false.";

/** Decides what to write. Throws a `CliError` if there is nothing to do, or no such release. */
export function decide(app: AIApp, options: Options): Request {
  const request = decideVerb(app, options);
  return app.spec.suspend ? { ...request, next: [...request.next, SUSPENDED] } : request;
}

function decideVerb(app: AIApp, { verb, release, now, time }: Options): Request {
  switch (verb) {
    case "release":
      return now ? releaseNow(app, release) : poll(app, time);
    case "approve":
      return approve(app, release);
    case "rollback":
      return rollback(app, release);
    case "retry":
      return retry(app, release, time);
    case "hold":
      return hold(app, release);
    case "resume":
      return resume(app);
    case "abort":
      return abort(app, release);
  }
}

function poll(app: AIApp, time: string): Request {
  const held = heldRelease(app);
  return {
    release: undefined,
    annotations: { [annotations.requestedAt]: time },
    done: `Requested a poll of the sources of ${describeApp(app)}.`,
    next: [
      held === undefined
        ? "The operator polls the registry and the store now, and releases what they have as spec.release says."
        : `The operator polls now, and releases nothing: release ${held} is held.`,
    ],
    isAnswered: ({ status }) => status?.lastHandledReconcileAt === time,
  };
}

function releaseNow(app: AIApp, named: string | undefined): Request {
  const release = candidateFor(app, named, "to release now", "Poll for one");
  if (release.phase === "RollingOut")
    throw nothing(app, `${describeRelease(release)} is rolling out already`);
  return {
    release: release.id,
    annotations: { [annotations.releaseNow]: release.id },
    done: `Requested that ${describeRelease(release)} of ${describeApp(app)} is rolled out without waiting.`,
    next: [
      release.phase === "Settling" || release.phase === "Verifying"
        ? "The operator begins its rollout once it is verified, without approval and outside any window."
        : "The operator begins its rollout at once.",
    ],
    isAnswered: (after) => !isWaitingIn(after, release.id),
  };
}

function approve(app: AIApp, named: string | undefined): Request {
  if (app.spec.release?.approval !== "Manual")
    throw nothing(app, `spec.release.approval of ${describeApp(app)} is not Manual`);
  const release = candidateFor(app, named, "that awaits approval", "Poll for one");
  const isAwaiting = release.phase === "AwaitingApproval";
  if (named === undefined && !isAwaiting) {
    throw nothing(
      app,
      `${describeRelease(release)} is ${release.phase}, and does not await approval`,
      `Approve it in advance: ${commandOf(app, "approve", release.id)}.`,
    );
  }
  const when =
    app.spec.release.schedule === undefined
      ? ""
      : " when the window of spec.release.schedule opens";
  return {
    release: release.id,
    annotations: { [annotations.approve]: release.id },
    done: `Approved ${describeRelease(release)} of ${describeApp(app)}.`,
    next: [
      `The operator begins its rollout${isAwaiting ? "" : ", once it is verified,"}${when || " without further delay"}.`,
    ],
    isAnswered: (after) => findRelease(after, release.id)?.phase !== "AwaitingApproval",
  };
}

function rollback(app: AIApp, named: string | undefined): Request {
  const { current, previous } = app.status ?? {};
  const held = heldRelease(app);
  if (named === undefined && held !== undefined && held === current?.id) {
    throw nothing(
      app,
      `${describeApp(app)} is held at release ${held} already, and it serves`,
      `Name another one: ${commandOf(app, "rollback", "--to", previous?.id ?? "RELEASE")}; or end the hold: ${commandOf(app, "resume")}.`,
    );
  }
  const id = named ?? previous?.id;
  if (id === undefined) {
    throw nothing(
      app,
      `${describeApp(app)} has no release before the current one`,
      `Show what it has: ${commandOf(app, "history")}.`,
    );
  }
  return holdOf(app, requireRelease(app, id));
}

function hold(app: AIApp, named: string | undefined): Request {
  const id = named ?? app.status?.current?.id;
  if (id === undefined) throw nothing(app, `No release of ${describeApp(app)} serves yet`);
  return holdOf(app, requireRelease(app, id));
}

/** A rollback is a hold of a release that does not serve. */
function holdOf(app: AIApp, release: ReleaseStatus): Request {
  const { current, candidate } = app.status ?? {};
  const { id } = release;
  const serves = current?.id === id;
  if (release.phase === "Failed" && !serves) {
    throw new CliError(
      "ReleaseFailed",
      `${describeRelease(release)} has failed (${release.reason ?? "no reason recorded"}): the operator does not run it`,
      `Choose another one of ${commandOf(app, "history")}, or try it again: ${commandOf(app, "retry", id)}.`,
    );
  }
  const other = candidate !== undefined && candidate.id !== id ? candidate : undefined;
  const wasReleased = serves || release.phase === "Released" || app.status?.previous?.id === id;
  return {
    release: id,
    annotations: { [annotations.hold]: id },
    done: serves
      ? `Held ${describeApp(app)} at ${describeRelease(release)}.`
      : `Requested that ${describeApp(app)} runs ${describeRelease(release)}.`,
    next: [
      ...(other === undefined ? [] : [`The operator gives up ${describeRelease(other)}.`]),
      ...(serves
        ? []
        : [
            wasReleased
              ? "The operator rolls it out at once: it was verified before."
              : "The operator verifies it, as it has not served before, and then rolls it out.",
          ]),
      `It releases nothing else until: ${commandOf(app, "resume")}.`,
    ],
    isAnswered: ({ status }) =>
      status?.candidate === undefined ? status?.current?.id === id : status.candidate.id === id,
    rejection: ({ status }) =>
      // The condition may still be about an earlier hold.
      status?.conditions?.find(
        ({ reason, message }) => reason === "HoldInvalid" && message.includes(` ${id}:`),
      )?.message,
  };
}

function resume(app: AIApp): Request {
  const held = heldRelease(app);
  return {
    release: held,
    annotations: { [annotations.hold]: null },
    done: `Ended the hold of ${describeApp(app)}${held === undefined ? "" : ` at release ${held}`}.`,
    next: ["The operator releases what spec and sources ask for, unless that has failed."],
    isAnswered: ({ status }) =>
      status?.conditions?.some(({ reason }) => reason === "Held" || reason === "HoldInvalid") !==
      true,
  };
}

function retry(app: AIApp, named: string | undefined, time: string): Request {
  const failed = releasesOf(app).filter(({ phase }) => phase === "Failed");
  // Two specs may have failed with the same pair: the condition names the release that is asked for now.
  const reported = app.status?.conditions?.find(({ type }) => type === "Released")?.message ?? "";
  const newest =
    failed.find(({ id }) => reported.includes(id)) ??
    failed.find((release) => isAtSources(app, release));
  const release = named === undefined ? newest : requireRelease(app, named);
  if (release === undefined) {
    const ids = failed.map(({ id }) => id).join(", ");
    throw nothing(
      app,
      ids === ""
        ? `No release of ${describeApp(app)} has failed`
        : `The sources of ${describeApp(app)} have another pair than the failed releases (${ids})`,
      `Poll the sources: ${commandOf(app, "release")}.`,
    );
  }
  const { id, since } = release;
  if (release.phase !== "Failed")
    throw nothing(app, `${describeRelease(release)} has not failed: it is ${release.phase}`);
  const held = heldRelease(app);
  const wasAborted = app.metadata.annotations?.[annotations.abort]?.trim() === id;
  return {
    release: id,
    // The operator answers each value once, and would abort the release again.
    annotations: {
      [annotations.retry]: `${id}/${time}`,
      ...(wasAborted && { [annotations.abort]: null }),
    },
    done: `Requested another attempt at ${describeRelease(release)} of ${describeApp(app)}.`,
    next: [
      held !== undefined
        ? `The operator tries it after the hold of release ${held}: ${commandOf(app, "resume")}.`
        : isAtSources(app, release)
          ? "The operator verifies it again, and then releases it as spec.release says."
          : "The operator tries it again once spec and sources ask for it: they have another pair now.",
    ],
    isAnswered: (after) => {
      const now = findRelease(after, id);
      return now?.phase !== "Failed" || now.since !== since;
    },
  };
}

function abort(app: AIApp, named: string | undefined): Request {
  const release = candidateFor(app, named, "to abort", "Show what runs");
  const { current } = app.status ?? {};
  return {
    release: release.id,
    annotations: { [annotations.abort]: release.id },
    done: `Aborted ${describeRelease(release)} of ${describeApp(app)}.`,
    next: [
      current === undefined
        ? "The operator gives it up. No other release serves."
        : release.phase === "RollingOut"
          ? `The operator gives every pod back to release ${current.id}.`
          : `Release ${current.id} serves as before.`,
      `It is not tried again until: ${commandOf(app, "retry", release.id)}.`,
    ],
    isAnswered: (after) => {
      const now = findRelease(after, release.id);
      return now === undefined || !isOpen(now);
    },
  };
}

/** The release on its way; `purpose` and `advice` say what for, if there is none. */
function candidateFor(
  app: AIApp,
  named: string | undefined,
  purpose: string,
  advice: "Poll for one" | "Show what runs",
): ReleaseStatus {
  const { candidate } = app.status ?? {};
  const release = named === undefined ? candidate : requireRelease(app, named);
  const fix = `${advice}: ${commandOf(app, advice === "Poll for one" ? "release" : "status")}.`;
  if (release === undefined)
    throw nothing(app, `${describeApp(app)} has no release ${purpose}`, fix);
  if (isOpen(release)) return release;
  const { id, phase } = release;
  throw nothing(
    app,
    `${describeRelease(release)} is ${phase}, not on its way`,
    phase === "Failed" ? `Try it again: ${commandOf(app, "retry", id)}.` : fix,
  );
}

function isWaitingIn(app: AIApp, id: string): boolean {
  const release = findRelease(app, id);
  return release !== undefined && isWaiting(release);
}

function nothing(app: AIApp, what: string, fix?: string): CliError {
  return new CliError("NothingToDo", what, fix ?? `See what it does: ${commandOf(app, "status")}.`);
}
