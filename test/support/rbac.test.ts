import { readFileSync } from "node:fs";
import { join } from "node:path";

import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { z } from "zod";

import { kinds } from "../../operator/kube/types.ts";
import { ownedObjects, slotNames } from "../../operator/aiapp/resources/owned.ts";

/** The rules of the chart, held to the table of owned objects. */

const helpers = readFileSync(
  join(import.meta.dirname, "../../charts/aiapp-operator/templates/_helpers.tpl"),
  "utf8",
);
const Rules = z.array(
  z.object({
    apiGroups: z.array(z.string()),
    resources: z.array(z.string()),
    verbs: z.array(z.string()),
  }),
);

function rulesOf(template: string): z.infer<typeof Rules> {
  const definition = new RegExp(`define "${template}" -?\\}\\}\\n([^]*?)\\{\\{-? end`);
  return Rules.parse(parse(definition.exec(helpers)?.[1] ?? ""));
}

const writes = rulesOf("aiapp.writes");
const rules = [...rulesOf("aiapp.rules"), ...writes];

function verbsFor(apiVersion: string, plural: string): readonly string[] {
  const group = apiVersion.includes("/") ? apiVersion.slice(0, apiVersion.indexOf("/")) : "";
  return rules
    .filter(({ apiGroups, resources }) => apiGroups.includes(group) && resources.includes(plural))
    .flatMap(({ verbs }) => verbs);
}

describe("the chart's rules", () => {
  it.each([...slotNames.map((name) => ownedObjects[name].kind), kinds.controllerRevision])(
    "let the operator watch, write and delete each owned kind ($kind)",
    ({ apiVersion, plural }) => {
      expect(verbsFor(apiVersion, plural)).toEqual(
        expect.arrayContaining(["get", "list", "watch", "create", "patch", "delete"]),
      );
    },
  );

  it("leave what AIApps own to the tenant when the operator impersonates it", () => {
    const written = writes.flatMap(({ resources }) => resources);
    expect(new Set(written)).toEqual(
      new Set(slotNames.map((name) => ownedObjects[name].kind.plural)),
    );
    const others = rulesOf("aiapp.rules").filter(({ verbs }) => verbs.includes("create"));
    expect(others.flatMap(({ resources }) => resources)).toEqual(["controllerrevisions", "events"]);
  });

  it("let it write nothing else but events and the status of AIApps", () => {
    const owned = new Set([
      ...slotNames.map((name) => ownedObjects[name].kind.plural),
      kinds.controllerRevision.plural,
    ]);
    const written = rules
      .filter(({ verbs }) => verbs.some((verb) => !["get", "list", "watch"].includes(verb)))
      .flatMap(({ resources }) => resources)
      .filter((resource) => !owned.has(resource));
    expect(new Set(written)).toEqual(
      // Finalizers: only to set owner references where admission asks for that right.
      new Set(["aiapps/status", "aiapps/finalizers", "events"]),
    );
  });
});
