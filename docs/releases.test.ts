import { readFileSync } from "node:fs";
import { join } from "node:path";

import { describe, expect, it } from "vitest";

import { decide } from "../cli/control/decide.ts";
import type { Verb } from "../cli/control/verbs.ts";
import { AIAppSpec } from "../crds/aiapp/spec.ts";
import { type Phase } from "../crds/aiapp/status.ts";
import { annotations } from "../crds/names.ts";
import { digestOf, World } from "../operator/aiapp/observed.testing.ts";
import { transitions } from "../operator/aiapp/release/advance.ts";
import { gatesOf, type Gates, type Subject } from "../operator/aiapp/release/gates.ts";
import type { Timing } from "../operator/aiapp/release/timing.ts";
import type { Journal } from "../crds/journal.ts";
import { makeLedger } from "../operator/aiapp/release/ledger.ts";
import type { ReleaseRecord } from "../operator/aiapp/release/record.ts";

const page = readFileSync(join(import.meta.dirname, "releases.md"), "utf8");

/** Rows of the table whose header begins with a cell. */
function tableBelow(header: string): readonly (readonly string[])[] {
  const table = page.slice(page.indexOf(`\n| ${header} `)).split("\n\n", 1)[0] ?? "";
  const rows = table.trim().split("\n").slice(2);
  return rows.map((row) =>
    row
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

describe("the diagram of the phases", () => {
  const code = /```mermaid\n([^]*?)```/.exec(page)?.[1] ?? "";
  const inside = /state "[^"]*" as open \{\n([^}]*)\}/.exec(code)?.[1] ?? "";
  /** The phases of the composite state: an arrow that leaves it leaves each of them. */
  const open = new Set(
    [...inside.matchAll(/(\w+) -->|--> (\w+):/g)].map(([, from, to]) => from ?? to ?? ""),
  );

  it("has an arrow for each transition of the table, and no other", () => {
    const drawn = [...code.matchAll(/^ *(\S+) --> (\w+): (.*)$/gm)].flatMap(
      ([, from = "", to, name]) =>
        (from === "open" ? [...open] : [from]).map((one) => `${one} --> ${to}: ${name}`),
    );
    const expected = transitions.flatMap(({ name, from, to }) =>
      from.map((one) => `${one === "None" ? "[*]" : one} --> ${to}: ${name.split(":", 1)[0]}`),
    );
    expect(drawn.toSorted()).toEqual([...new Set(expected)].toSorted());
  });

  it("is followed by every transition in the order in which they count", () => {
    const listed = tableBelow("transition").map(([name, from = ""]) => [
      name,
      from === "any on its way" ? [...open].toSorted() : from.split(", ").toSorted(),
    ]);
    const expected = transitions.map(({ name, from }) => [
      name,
      from.map((one) => (one === "None" ? "none" : one)).toSorted(),
    ]);
    expect(listed).toEqual(expected);
  });

  it("explains each phase that a transition leads to", () => {
    const phases = new Set<Phase>(transitions.map(({ to }) => to));
    expect([...phases].filter((phase) => !page.includes(`**${phase}**`))).toEqual([]);
  });
});

describe("the table of what a release waits for", () => {
  const record = { id: "one" } as ReleaseRecord;
  const at = new Date(0).toISOString();
  const served: Journal = [{ phase: "Released", at }];
  const passed: Journal = [{ phase: "Superseded", at, reason: "Verified" }];
  const spec = AIAppSpec.parse({
    image: "contoso.azurecr.io/digits:1",
    modelVersion: "latest",
    model: { store: "https://contoso.blob.core.windows.net/models", name: "digits" },
    release: { approval: "Manual", settle: "5m", schedule: "0 2 * * *" },
    verify: {},
  });
  const stable = { id: "two", revision: 1, journal: served } as unknown as ReleaseRecord;

  const closed: Timing = {
    refusal: undefined,
    window: { isOpen: false, opensAt: undefined },
    freeze: undefined,
    freezeChangesAt: undefined,
  };
  const freezing: Timing = {
    refusal: undefined,
    window: undefined,
    freeze: { name: "holidays", reason: "holidays", until: undefined },
    freezeChangesAt: undefined,
  };

  interface Case {
    readonly as: Subject["as"];
    readonly journal?: Journal;
    readonly isFirst?: boolean;
    readonly isUrgent?: boolean;
  }
  const cases: readonly Case[] = [
    { as: "requested" },
    { as: "requested", isFirst: true },
    { as: "half", journal: passed },
    { as: "requested", journal: served },
    { as: "held", journal: served },
    { as: "held" },
    { as: "requested", isUrgent: true },
  ];

  it("is what the gates decide", () => {
    const rows = cases.map(({ as, journal = [], isFirst, isUrgent }) => {
      const gates = (timing: Timing): Gates =>
        gatesOf(
          spec,
          { id: record.id, record: { ...record, journal }, as },
          makeLedger(isFirst === true ? [] : [stable]),
          {
            approve: undefined,
            releaseNow: isUrgent === true ? { id: record.id, by: "a user" } : undefined,
          },
          timing,
          0,
        );
      const { settled, verified, approved, scheduled } = gates(closed);
      const { scheduled: frozen } = gates(freezing);
      const { scheduled: refused } = gates({ ...closed, window: undefined, refusal: "no" });
      return [settled, verified, approved, scheduled, frozen, refused].map(({ isOpen }) =>
        isOpen ? "–" : "waits",
      );
    });
    expect(tableBelow("release").map((cells) => cells.slice(1))).toEqual(rows);
  });
});

/** A world whose first release serves. */
function released(): World {
  return new World({ modelVersion: "latest", verify: {} }).poll().converge();
}

function publish(on: World, version: string, image?: string): World {
  on.publish({
    version,
    model: digestOf(`model ${version}`),
    ...(image !== undefined && { image: digestOf(image) }),
  });
  return on.poll();
}

describe("the table of blame", () => {
  it.each(tableBelow("new image, running model"))(
    "when the new image %s and the new model %s, then serves: %s; blame: %s",
    (image, model, serves, blame) => {
      const on = released();
      on.judge = ({ imageDigest, modelVersion }) => {
        const [isImage, isModel] = [imageDigest === digestOf("image 2"), modelVersion === "2"];
        const isBad =
          isImage && isModel ? true : isImage ? image === "fails" : isModel && model === "fails";
        return isBad ? "VerificationFailed: wrong" : undefined;
      };
      publish(on, "2", "image 2").converge();
      const { current } = on.app.status ?? {};
      const parts = [
        `${current?.imageDigest === digestOf("image 2") ? "new" : "running"} image`,
        `${current?.modelVersion === "2" ? "new" : "running"} model`,
      ];
      const whole = on.record(
        ({ imageDigest, modelVersion }) =>
          imageDigest === digestOf("image 2") && modelVersion === "2",
      );
      expect(parts.join(", ")).toBe(
        serves === "as before" ? "running image, running model" : serves,
      );
      expect(`\`${whole.journal.at(-1)?.blame}\``).toBe(blame);
    },
  );
});

describe("each request by hand", () => {
  /** Does what the CLI would do, and reconciles. */
  function request(on: World, verb: Verb, release?: string, now = false): void {
    const time = new Date(on.now).toISOString();
    const { isAnswered, annotations: values } = decide(on.app, { verb, release, now, time });
    for (const [name, value] of Object.entries(values)) on.annotate(name, value ?? undefined);
    on.poll().reconcile();
    expect(isAnswered(on.app), `${verb} is answered`).toBe(true);
  }

  function idOf(on: World, version: string): string {
    return on.record(({ modelVersion }) => modelVersion === version).id;
  }

  it("is in the reference as an annotation, and here as a command", () => {
    const names = [
      annotations.hold,
      annotations.approve,
      annotations.retry,
      annotations.abort,
      annotations.releaseNow,
      annotations.requestedAt,
    ];
    const cells = tableBelow("purpose").map(([, , cell = ""]) => cell);
    expect(names.filter((name) => !cells.some((cell) => cell.startsWith(`\`${name}`)))).toEqual([]);
  });

  it("is answered by the operator within one reconcile: rollback and resume", () => {
    const on = publish(released(), "2").converge();
    request(on, "rollback");
    on.converge();
    expect(on.app.status?.current?.modelVersion).toBe("1");
    publish(on, "3").converge();
    expect(on.app.status?.current?.modelVersion).toBe("1");
    request(on, "resume");
    on.converge();
    expect(on.app.status?.current?.modelVersion).toBe("3");
  });

  it("is answered by the operator within one reconcile: hold", () => {
    const on = publish(released(), "2");
    on.reconcile();
    request(on, "hold");
    expect(on.app.status?.candidate).toBeUndefined();
    on.converge();
    expect(on.app.status?.current?.modelVersion).toBe("1");
  });

  it("is answered by the operator within one reconcile: abort, and then retry", () => {
    const on = publish(released(), "2");
    on.reconcile();
    request(on, "abort");
    on.converge();
    expect(on.app.status?.current?.modelVersion).toBe("1");
    request(on, "retry");
    on.converge();
    expect(on.app.status?.current?.modelVersion).toBe("2");
  });

  it("is answered by the operator within one reconcile: retry, each time", () => {
    const on = released();
    on.judge = () => "VerificationFailed: wrong";
    publish(on, "2").converge();
    for (let attempt = 0; attempt < 2; attempt += 1) {
      on.now += 60_000;
      request(on, "retry");
      on.converge();
    }
    on.judge = () => undefined;
    request(on, "retry", idOf(on, "2"));
    on.converge();
    expect(on.app.status?.current?.modelVersion).toBe("2");
  });

  it("is answered by the operator within one reconcile: approve", () => {
    const on = released();
    on.change({ release: { approval: "Manual" } });
    publish(on, "2").converge();
    expect(on.app.status?.candidate?.phase).toBe("AwaitingApproval");
    request(on, "approve");
    on.converge();
    expect(on.app.status?.current?.modelVersion).toBe("2");
  });

  it("is answered by the operator within one reconcile: release, and release --now", () => {
    const on = released();
    on.change({ release: { approval: "Manual", settle: "1h" } });
    publish(on, "2").converge();
    expect(on.app.status?.candidate?.phase).toBe("Settling");
    request(on, "release");
    request(on, "release", undefined, true);
    on.converge();
    expect(on.app.status?.current?.modelVersion).toBe("2");
  });
});
