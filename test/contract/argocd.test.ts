import { readFileSync } from "node:fs";
import { join } from "node:path";

import { beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { z } from "zod";

import { AIApp } from "../../crds/aiapp/aiapp.ts";
import { readIntents } from "../../operator/aiapp/intents.ts";
import { ask, BUILD_TIMEOUT_MS } from "../judges/judges.ts";
import { judgeCandidates, judgeOthers, type ExpectedOf } from "../judges/judge-states.ts";
import {
  candidateIn,
  changes,
  otherStates,
  type AppObject,
  type OtherState,
} from "../judges/phases.ts";

/** The scripts of examples/argocd, run by the Lua that Argo CD runs, on AIApps in each state. */

const folder = join(import.meta.dirname, "../../examples/argocd");
const healthScript = readFileSync(join(folder, "health.lua"), "utf8");
const Actions = z.object({
  "discovery.lua": z.string(),
  definitions: z.array(z.object({ name: z.string(), "action.lua": z.string() })),
});
const actions = Actions.parse(parse(readFileSync(join(folder, "actions.yaml"), "utf8")));

const Answer = z.object({ result: z.unknown(), error: z.string().optional() });

async function run(script: string, objects: readonly AppObject[]): Promise<readonly unknown[]> {
  const inputs = objects.map((object) => ({ script, object }));
  return z
    .array(Answer)
    .parse(await ask("lua", inputs))
    .map(({ result, error }) => {
      if (error !== undefined) throw new Error(error);
      return result;
    });
}

const Health = z.object({
  status: z.enum(["Progressing", "Healthy", "Suspended", "Degraded"]),
  message: z.string().min(1),
});
type Health = z.infer<typeof Health>;

async function healthOf(objects: readonly AppObject[]): Promise<readonly Health[]> {
  return z.array(Health).parse(await run(healthScript, objects));
}

beforeAll(() => ask("lua", [{ script: "return {}", object: {} }]), BUILD_TIMEOUT_MS);

describe("the health of an AIApp in Argo CD", () => {
  const expected: ExpectedOf<Health["status"]> = {
    Settling: { first: "Progressing", spec: "Progressing", polling: "Healthy" },
    Verifying: { first: "Progressing", spec: "Progressing", polling: "Progressing" },
    AwaitingApproval: { first: "Suspended", spec: "Suspended", polling: "Healthy" },
    Scheduled: { first: undefined, spec: "Suspended", polling: "Healthy" },
    Frozen: { first: "Suspended", spec: "Suspended", polling: "Healthy" },
    RollingOut: { first: "Progressing", spec: "Progressing", polling: "Progressing" },
    Released: { first: "Healthy", spec: "Healthy", polling: "Healthy" },
    Failed: { first: "Degraded", spec: "Degraded", polling: "Healthy" },
    PodsRejected: { first: "Degraded", spec: "Degraded", polling: "Healthy" },
    RolloutPaused: { first: "Degraded", spec: "Degraded", polling: "Healthy" },
    Suspended: { first: "Suspended", spec: "Suspended", polling: "Suspended" },
  };

  it.each(changes)("goes by what brought its candidate about: %s", async (change) => {
    const judged = await judgeCandidates(change, expected, healthOf);
    expect(judged.found).toEqual(judged.expected);
  });

  // Argo CD itself reports an object that is being deleted.
  const others: Readonly<Record<Exclude<OtherState, "deleted">, Health["status"]>> = {
    "not reconciled yet": "Progressing",
    "a change of the spec that is not reconciled yet": "Progressing",
    "the first poll pending": "Progressing",
    "sources failing before anything serves": "Degraded",
    "sources throttled before anything serves": "Progressing",
    "sources failing while a release serves": "Healthy",
    "the operator restarted, nothing polled yet": "Healthy",
    "held, while polling finds another": "Suspended",
    "held, while the spec asks for another": "Suspended",
    "a hold of a release that is not recorded": "Degraded",
    "a name conflict before anything serves": "Degraded",
    "an outage: the pods of the current release crash": "Degraded",
    "an outage: no node has room": "Progressing",
    "scaled to zero": "Healthy",
    "pods of a verification rejected, after a change of the spec": "Degraded",
    "pods of a verification rejected, found by polling": "Healthy",
    "an object that the API server rejects": "Degraded",
  };

  it("goes by states that no candidate explains", async () => {
    const names = Object.keys(others) as (keyof typeof others)[];
    expect(await judgeOthers(names, healthOf)).toEqual(others);
  });

  it("says what failed although a release serves", async () => {
    const [failed] = await healthOf([candidateIn("Failed", "polling") ?? {}]);
    expect(failed?.message).toMatch(/^release [0-9a-f]{10} .* serves; release .* failed /);
  });

  it("is Progressing without a status", async () => {
    const { status: _, ...bare } = otherStates["not reconciled yet"]();
    expect(await healthOf([bare])).toMatchObject([{ status: "Progressing" }]);
  });
});

describe("the actions on an AIApp in Argo CD", () => {
  /** Names of the actions that are enabled. */
  async function enabled(object: AppObject): Promise<readonly string[]> {
    const [menu] = await run(actions["discovery.lua"], [object]);
    const entries = z.record(z.string(), z.object({ disabled: z.boolean() })).parse(menu);
    expect(new Set(Object.keys(entries))).toEqual(
      new Set(actions.definitions.map(({ name }) => name)),
    );
    return Object.keys(entries).filter((name) => entries[name]?.disabled === false);
  }

  /** What the operator reads off the object that an action returns. */
  async function intentsAfter(
    name: string,
    object: AppObject,
  ): Promise<ReturnType<typeof readIntents>> {
    const script = actions.definitions.find((one) => one.name === name)?.["action.lua"] ?? "";
    const [changed] = await run(script, [object]);
    const { metadata } = z.object({ metadata: z.looseObject({}) }).parse(changed);
    return readIntents(AIApp.parse({ ...object, metadata }));
  }

  function appOf(object: AppObject | undefined): AIApp {
    return AIApp.parse(object);
  }

  const both = ["poll", "hold"];

  it("are those that have an effect in its state", async () => {
    const menus = {
      awaiting: await enabled(candidateIn("AwaitingApproval", "polling") ?? {}),
      verifying: await enabled(candidateIn("Verifying", "spec") ?? {}),
      failed: await enabled(candidateIn("Failed", "polling") ?? {}),
      released: await enabled(candidateIn("Released", "polling") ?? {}),
      held: await enabled(otherStates["held, while polling finds another"]()),
      fresh: await enabled(otherStates["not reconciled yet"]()),
    };
    expect(
      Object.fromEntries(Object.entries(menus).map(([state, names]) => [state, new Set(names)])),
    ).toEqual({
      awaiting: new Set([...both, "approve", "abort"]),
      verifying: new Set([...both, "abort"]),
      failed: new Set([...both, "retry"]),
      released: new Set([...both, "rollback"]),
      held: new Set(["poll", "resume"]),
      fresh: new Set(["poll"]),
    });
  });

  it("name the candidate to approve or to abort", async () => {
    const object = candidateIn("AwaitingApproval", "polling") ?? {};
    const id = appOf(object).status?.candidate?.id;
    expect(id).toMatch(/^[0-9a-f]{10}$/);
    expect(await intentsAfter("approve", object)).toMatchObject({ approve: { id } });
    expect(await intentsAfter("abort", object)).toMatchObject({ abort: { id } });
  });

  it("name the failed release to retry, with another value each time, and end its abort", async () => {
    const object = candidateIn("Failed", "polling") ?? {};
    const id = appOf(object).status?.quarantined?.[0]?.id;
    const { metadata } = appOf(object);
    const aborted = { ...metadata, annotations: { "aiapp.dev/abort": id } };
    const { retry, abort } = await intentsAfter("retry", { ...object, metadata: aborted });
    expect(retry?.id).toBe(id);
    expect(retry?.token).toMatch(/\/\d+$/);
    expect(abort).toBeUndefined();
  });

  it("hold the current release, go back to the previous one, and resume", async () => {
    const object = candidateIn("Released", "polling") ?? {};
    const { current, previous } = appOf(object).status ?? {};
    expect(await intentsAfter("hold", object)).toMatchObject({ hold: { id: current?.id } });
    expect(await intentsAfter("rollback", object)).toMatchObject({ hold: { id: previous?.id } });
    const held = otherStates["held, while polling finds another"]();
    expect((await intentsAfter("resume", held)).hold).toBeUndefined();
  });

  it("request a poll now", async () => {
    const { pollToken } = await intentsAfter("poll", otherStates["not reconciled yet"]());
    expect(pollToken).toMatch(/^\d+$/);
  });
});
