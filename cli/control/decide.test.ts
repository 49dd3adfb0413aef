import { describe, expect, test } from "vitest";

import type { AIAppStatus } from "../../crds/aiapp/status.ts";
import { decide, type Request } from "./decide.ts";
import { appWith, release, two, withCandidate, withFailure } from "./releases.testing.ts";
import type { Verb } from "./verbs.ts";

const time = "2026-01-02T09:00:00.000Z";
const [one, second, third] = ["1111111111", "2222222222", "3333333333"];

interface Given {
  readonly status?: Partial<AIAppStatus>;
  readonly spec?: Record<string, unknown>;
  readonly annotations?: Record<string, string>;
  readonly release?: string;
  readonly now?: boolean;
}

function decided(verb: Verb, { release: named, now = false, ...parts }: Given): Request {
  return decide(appWith({ status: two, ...parts }), { verb, release: named, now, time });
}

/** The annotations that a command sets. */
function set(verb: Verb, given: Given): unknown {
  return decided(verb, given).annotations;
}

function refusal(verb: Verb, given: Given): unknown {
  try {
    return decided(verb, given);
  } catch (error) {
    return error;
  }
}

const manual = { release: { approval: "Manual" } };

describe("approve", () => {
  test("names the candidate that awaits approval", () => {
    const status = withCandidate("AwaitingApproval");
    expect(set("approve", { status, spec: manual })).toEqual({ "aiapp.dev/approve": third });
  });

  test("needs the id to approve a release before it awaits approval", () => {
    const status = withCandidate("Verifying");
    expect(refusal("approve", { status, spec: manual })).toMatchObject({
      code: "NothingToDo",
      message: expect.stringContaining("is Verifying, and does not await approval"),
      fix: expect.stringContaining(`aiapp approve digits ${third} --namespace shop`),
    });
    const request = decided("approve", { status, spec: manual, release: third });
    expect(request.annotations).toEqual({ "aiapp.dev/approve": third });
    expect(request.next[0]).toContain("once it is verified");
  });

  test("is refused without a candidate, for an ended release, and where approval is automatic", () => {
    const status = withCandidate("AwaitingApproval");
    for (const given of [
      { spec: manual },
      { spec: manual, release: second },
      { status, spec: {} },
    ]) {
      expect(refusal("approve", given)).toMatchObject({ code: "NothingToDo" });
    }
  });

  test("says that a window is waited for all the same", () => {
    const status = withCandidate("AwaitingApproval");
    const spec = { release: { approval: "Manual", schedule: "0 2 * * *" } };
    expect(decided("approve", { status, spec }).next[0]).toContain("when the window");
  });
});

describe("a release that is named", () => {
  test.each(["approve", "retry", "hold", "rollback", "abort"] as const)(
    "is known, or %s lists those that are",
    (verb) => {
      expect(refusal(verb, { release: "0123456789", spec: manual })).toMatchObject({
        code: "ReleaseUnknown",
        message: expect.stringContaining(`${second} (Released), ${one} (Released)`),
      });
    },
  );
});

describe("release", () => {
  test("requests a poll with a value that is new each time", () => {
    const request = decided("release", {});
    expect(request.annotations).toEqual({ "aiapp.dev/requestedAt": time });
    expect(request.isAnswered(appWith({ status: two }))).toBe(false);
    const answered = appWith({ status: { ...two, lastHandledReconcileAt: time } });
    expect(request.isAnswered(answered)).toBe(true);
  });

  test.each(["Settling", "Verifying", "AwaitingApproval", "Scheduled"] as const)(
    "--now names a candidate that is %s",
    (phase) => {
      const request = decided("release", { status: withCandidate(phase), now: true });
      expect(request.annotations).toEqual({ "aiapp.dev/release-now": third });
    },
  );

  test("--now is answered once the candidate does not wait", () => {
    const request = decided("release", { status: withCandidate("Scheduled"), now: true });
    expect(request.isAnswered(appWith({ status: withCandidate("Scheduled") }))).toBe(false);
    expect(request.isAnswered(appWith({ status: withCandidate("RollingOut") }))).toBe(true);
  });

  test("--now is refused without a candidate, and for one that is rolling out", () => {
    for (const status of [two, withCandidate("RollingOut")])
      expect(refusal("release", { status, now: true })).toMatchObject({ code: "NothingToDo" });
  });
});

describe("rollback", () => {
  test("holds the previous release, or the one that --to names", () => {
    expect(set("rollback", {})).toEqual({ "aiapp.dev/hold": one });
    const older = release("4", { phase: "Superseded" });
    const status = { ...two, history: [...two.history, older] };
    expect(set("rollback", { status, release: older.id })).toEqual({ "aiapp.dev/hold": older.id });
  });

  test("asks for the same twice, until it has been done", () => {
    const annotations = { "aiapp.dev/hold": one };
    expect(set("rollback", { annotations })).toEqual({ "aiapp.dev/hold": one });
  });

  test("never goes forward again by itself: after it, the previous release is the one that was left", () => {
    const status = { current: release("1"), previous: release("2"), history: two.history };
    const annotations = { "aiapp.dev/hold": one };
    expect(refusal("rollback", { status, annotations })).toMatchObject({
      code: "NothingToDo",
      fix: expect.stringContaining(`aiapp rollback digits --to ${second} --namespace shop`),
    });
    expect(set("rollback", { status, annotations, release: one })).toEqual(annotations);
  });

  test("is refused without a previous release, and to one that has failed", () => {
    const { previous: _, ...first } = two;
    expect(refusal("rollback", { status: first })).toMatchObject({ code: "NothingToDo" });
    expect(refusal("rollback", { status: withFailure(), release: third })).toMatchObject({
      code: "ReleaseFailed",
      message: expect.stringContaining("VerificationFailed"),
    });
    // It served once, and failed when it was tried again.
    const failed = [release("2"), release("1", { phase: "Failed" })];
    expect(refusal("rollback", { status: { ...two, history: failed } })).toMatchObject({
      code: "ReleaseFailed",
    });
  });

  test("says what is given up, and whether the release is verified first", () => {
    const status = withCandidate("RollingOut");
    expect(decided("rollback", { status }).next.join("\n")).toMatch(
      /gives up release 3333333333 .*\n.*at once: it was verified before/,
    );
    const skipped = release("4", { phase: "Superseded" });
    const other = { ...two, history: [...two.history, skipped] };
    expect(decided("rollback", { status: other, release: skipped.id }).next[0]).toContain(
      "verifies it",
    );
  });

  test("is answered once the release is on its way, and rejected by HoldInvalid for the same release", () => {
    const { isAnswered, rejection } = decided("rollback", {});
    expect(isAnswered(appWith({ status: two }))).toBe(false);
    const candidate = release("1", { phase: "RollingOut" });
    expect(isAnswered(appWith({ status: { ...two, candidate } }))).toBe(true);
    expect(isAnswered(appWith({ status: { current: release("1") } }))).toBe(true);
    const invalid = (id: string): Partial<AIAppStatus> => ({
      conditions: [
        {
          type: "Released",
          status: "False",
          reason: "HoldInvalid",
          message: `the annotation aiapp.dev/hold names ${id}: release ${id} has failed`,
          lastTransitionTime: time,
        },
      ],
    });
    expect(rejection?.(appWith({ status: invalid(one) }))).toContain("has failed");
    expect(rejection?.(appWith({ status: invalid(second) }))).toBeUndefined();
  });
});

describe("hold and resume", () => {
  test("a hold keeps what serves, and gives up what is on its way", () => {
    const request = decided("hold", { status: withCandidate("Verifying") });
    expect(request.annotations).toEqual({ "aiapp.dev/hold": second });
    expect(request.next[0]).toContain(`gives up release ${third}`);
    expect(request.isAnswered(appWith({ status: withCandidate("Verifying") }))).toBe(false);
    expect(request.isAnswered(appWith({ status: two }))).toBe(true);
  });

  test("a hold is refused while nothing serves", () => {
    expect(refusal("hold", { status: {} })).toMatchObject({ code: "NothingToDo" });
  });

  test("resume removes the hold, also when there is none", () => {
    for (const annotations of [{ "aiapp.dev/hold": one }, {}]) {
      expect(set("resume", { annotations })).toEqual({ "aiapp.dev/hold": null });
    }
  });
});

describe("retry", () => {
  test("names the failed release that the sources have, with a value that is new each time", () => {
    expect(set("retry", { status: withFailure() })).toEqual({
      "aiapp.dev/retry": `${third}/${time}`,
    });
  });

  test("names the failed release that the condition Released reports, of several with the same pair", () => {
    const status = withFailure();
    const older = release("3", { id: "4444444444", phase: "Failed" });
    const message = "release 4444444444 (model version 3) failed and is not tried again";
    const condition = { type: "Released", status: "False", reason: "VerificationFailed" } as const;
    const several = {
      ...status,
      history: [...(status.history ?? []), older],
      conditions: [{ ...condition, message, lastTransitionTime: time }],
    };
    expect(set("retry", { status: several })).toEqual({ "aiapp.dev/retry": `4444444444/${time}` });
  });

  test("removes an abort of the same release, which would end the attempt at once", () => {
    const status = withFailure();
    expect(set("retry", { status, annotations: { "aiapp.dev/abort": third } })).toEqual({
      "aiapp.dev/retry": `${third}/${time}`,
      "aiapp.dev/abort": null,
    });
    expect(set("retry", { status, annotations: { "aiapp.dev/abort": one } })).toEqual({
      "aiapp.dev/retry": `${third}/${time}`,
    });
  });

  test("is refused when the sources have something else, unless the release is named", () => {
    const failed = withFailure();
    const model = { reference: "digits", seen: "4" };
    const status = { ...failed, sources: { model } };
    expect(refusal("retry", { status })).toMatchObject({
      code: "NothingToDo",
      message: expect.stringContaining(third),
    });
    expect(decided("retry", { status, release: third }).next[0]).toContain("once spec and sources");
  });

  test("is refused without a failed release, and for one that has not failed", () => {
    expect(refusal("retry", {})).toMatchObject({ code: "NothingToDo" });
    expect(refusal("retry", { release: second })).toMatchObject({
      code: "NothingToDo",
      message: expect.stringContaining("has not failed: it is Released"),
    });
  });

  test("is answered once the release is in another phase, or has failed again", () => {
    const { isAnswered } = decided("retry", { status: withFailure() });
    expect(isAnswered(appWith({ status: withFailure() }))).toBe(false);
    expect(isAnswered(appWith({ status: withCandidate("Verifying") }))).toBe(true);
    const again = release("3", { phase: "Failed", since: "2026-01-02T09:30:00Z" });
    expect(isAnswered(appWith({ status: { ...two, history: [again] } }))).toBe(true);
  });
});

describe("abort", () => {
  test("names the candidate, and says what happens to the pods", () => {
    const request = decided("abort", { status: withCandidate("RollingOut") });
    expect(request.annotations).toEqual({ "aiapp.dev/abort": third });
    expect(request.next[0]).toBe(`The operator gives every pod back to release ${second}.`);
    expect(request.isAnswered(appWith({ status: withCandidate("RollingOut") }))).toBe(false);
    expect(request.isAnswered(appWith({ status: withFailure() }))).toBe(true);
  });

  test("is refused without a candidate, and for a release that has ended", () => {
    expect(refusal("abort", {})).toMatchObject({ code: "NothingToDo" });
    expect(refusal("abort", { status: withFailure(), release: third })).toMatchObject({
      code: "NothingToDo",
      fix: expect.stringContaining(`aiapp retry digits ${third}`),
    });
  });
});

test("each request of a suspended app says that nothing happens yet", () => {
  expect(decided("hold", { spec: { suspend: true } }).next.at(-1)).toContain("suspended");
});
