import { describe, expect, it } from "vitest";

import { kinds, type Kind, type KubernetesObject } from "../../kube/types.ts";
import { ownedKinds } from "../cache.ts";
import { covers } from "../resources/drift.ts";
import type { ReleaseRecord } from "../release/record.ts";
import { scenarios } from "./scenarios.testing.ts";
import { defaultSpec, ShellStage } from "./stage.testing.ts";
import { WorldStage } from "./world-stage.testing.ts";

function journals(records: readonly ReleaseRecord[]): unknown {
  return records
    .map(({ id, journal }) => {
      const entries = journal.map(({ phase, reason, blame }) => [phase, reason, blame]);
      return JSON.stringify([id, ...entries]);
    })
    .toSorted();
}

/** What the operator applied of an object, but for what names the AIApp by its uid. */
function applied(object: KubernetesObject): unknown {
  const { metadata, ...rest } = object;
  // The API server allots the address of a Service; World has one of its own.
  const content = JSON.parse(
    JSON.stringify({ ...rest, status: undefined }, (key, value: unknown) =>
      key === "clusterIP" ? undefined : value,
    ),
  ) as unknown;
  return { content, labels: metadata?.labels };
}

function named(kind: Kind, objects: readonly KubernetesObject[]): Map<string, unknown> {
  return new Map(
    objects.map((object) => [
      `${kind.kind} ${withoutUid(kind, object.metadata?.name ?? "")}`,
      applied(object),
    ]),
  );
}

/** The last part of a record's name is a hash of the AIApp's uid, too. */
function withoutUid({ plural }: Kind, name: string): string {
  return plural === kinds.controllerRevision.plural ? name.replace(/-[0-9a-f]{5}$/, "") : name;
}

describe("World and the shell come to the same objects and journals", () => {
  const common = scenarios.filter(({ isShellOnly }) => isShellOnly !== true);
  it.each(common)("$name", async ({ spec, prepare, play }) => {
    const shell = await ShellStage.open(spec);
    const memory = new WorldStage({ ...defaultSpec, ...spec });
    for (const stage of [shell, memory]) {
      await prepare?.(stage);
      await play(stage);
    }
    await shell.close();
    expect(journals((await shell.ledger()).all)).toEqual(journals(memory.world.records));
    for (const kind of ownedKinds) {
      const live = named(kind, await shell.objects(kind));
      const prefix = `${kind.plural}/`;
      const inMemory = [...memory.world.objects].flatMap(([key, object]) =>
        key.startsWith(prefix) ? [object] : [],
      );
      const expected = named(kind, inMemory);
      expect([...live.keys()].toSorted()).toEqual([...expected.keys()].toSorted());
      const differing = [...expected].filter(([name, content]) => !covers(live.get(name), content));
      expect(differing.map(([name]) => name)).toEqual([]);
    }
  });
});
