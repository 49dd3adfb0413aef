import { readFileSync } from "node:fs";
import { join } from "node:path";

import { beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";

import { phases } from "../../crds/aiapp/status.ts";
import { ask, BUILD_TIMEOUT_MS } from "../judges/judges.ts";
import { judgeCandidates, judgeOthers, type ExpectedOf } from "../judges/judge-states.ts";
import {
  candidateIn,
  candidateStates,
  changes,
  otherStates,
  type AppObject,
  type OtherState,
} from "../judges/phases.ts";

/** What kstatus, and so Flux, makes of an AIApp: computed by its own Go library. */

const Answer = z.object({ status: z.string(), message: z.string() });

async function kstatusOf(objects: readonly AppObject[]): Promise<z.infer<typeof Answer>[]> {
  return z.array(Answer).parse(await ask("kstatus", objects));
}

type Expected = "InProgress" | "Current" | "Failed";

/**
 * Before anything serves, and after a change of the spec, what the user applied is not in effect until it is released.
 * What polling found leaves the applied spec in effect: only work on it shows.
 */
const expected: ExpectedOf<Expected> = {
  Settling: { first: "InProgress", spec: "InProgress", polling: "Current" },
  Verifying: { first: "InProgress", spec: "InProgress", polling: "InProgress" },
  AwaitingApproval: { first: "InProgress", spec: "InProgress", polling: "Current" },
  Scheduled: { first: "InProgress", spec: "InProgress", polling: "Current" },
  Frozen: { first: "InProgress", spec: "InProgress", polling: "Current" },
  RollingOut: { first: "InProgress", spec: "InProgress", polling: "InProgress" },
  Released: { first: "Current", spec: "Current", polling: "Current" },
  Failed: { first: "Failed", spec: "Failed", polling: "Current" },
  PodsRejected: { first: "Failed", spec: "Failed", polling: "Current" },
  RolloutPaused: { first: "Failed", spec: "Failed", polling: "Current" },
  Suspended: { first: "InProgress", spec: "Current", polling: "Current" },
};

const others: Readonly<Record<OtherState, Expected | "Terminating">> = {
  "not reconciled yet": "InProgress",
  "a change of the spec that is not reconciled yet": "InProgress",
  "the first poll pending": "InProgress",
  "sources failing before anything serves": "Failed",
  "sources throttled before anything serves": "InProgress",
  "sources failing while a release serves": "Current",
  "the operator restarted, nothing polled yet": "Current",
  "held, while polling finds another": "Current",
  "held, while the spec asks for another": "Current",
  "a hold of a release that is not recorded": "Failed",
  "a name conflict before anything serves": "Failed",
  "an outage: the pods of the current release crash": "Failed",
  "an outage: no node has room": "InProgress",
  "scaled to zero": "Current",
  "pods of a verification rejected, after a change of the spec": "Failed",
  "pods of a verification rejected, found by polling": "Current",
  "an object that the API server rejects": "Failed",
  deleted: "Terminating",
};

describe("kstatus", () => {
  beforeAll(() => ask("kstatus", [{ kind: "AIApp" }]), BUILD_TIMEOUT_MS);

  it.each(changes)(
    "reports each state of a candidate by what brought it about: %s",
    async (change) => {
      const judged = await judgeCandidates(change, expected, kstatusOf);
      expect(judged.found).toEqual(judged.expected);
    },
  );

  it("reports states that no candidate explains", async () => {
    const names = Object.keys(otherStates) as OtherState[];
    expect(await judgeOthers(names, kstatusOf)).toEqual(others);
  });

  it("quotes the operator's own message when a change of the spec fails", async () => {
    const object = candidateIn("Failed", "spec");
    const [answer] = await kstatusOf([object ?? {}]);
    expect(answer?.message).toContain("samples/1.json: result[0]: expected 1, got 2");
  });
});

describe("docs/reference/aiapp.md", () => {
  const page = readFileSync(join(import.meta.dirname, "../../docs/reference/aiapp.md"), "utf8");
  const [, section = ""] = page.split("\n### What kstatus reports in each phase\n");

  /** Status by state and by what brought the candidate about, as the page says. */
  function documented(): readonly (readonly [string, object])[] {
    return [...section.matchAll(/^\| ([^|]*`[^|]*?) *\| (\w+) *\| (\w+) *\|$/gm)].flatMap(
      ([, names = "", spec = "", polling = ""]) =>
        [...names.matchAll(/`(\w+)`/g)].map(([, name = ""]) => [name, { spec, polling }] as const),
    );
  }

  it("has a row for each phase that a candidate can be in", () => {
    const rows = new Set(documented().map(([state]) => state));
    // Nothing composes images yet, and what is superseded is no candidate any more.
    const none = ["Composing", "Superseded"];
    expect(phases.filter((phase) => !rows.has(phase))).toEqual(none);
  });

  it("has what kstatus reports in each state of a candidate", () => {
    const rows = Object.entries(expected).map(
      ([state, { spec, polling }]) => [state, { spec, polling }] as const,
    );
    const states = new Set<string>(candidateStates);
    expect(Object.fromEntries(documented().filter(([state]) => states.has(state)))).toEqual(
      Object.fromEntries(rows),
    );
  });
});
