import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { splitKey } from "./key.ts";
import { FAIR_PICK, NAMESPACE_PICK, PendingKeys, priorities, type Priority } from "./pending.ts";

function takeAll(pending: PendingKeys): readonly string[] {
  const taken: string[] = [];
  for (let next = pending.take(); next !== undefined; next = pending.take()) taken.push(next.key);
  return taken;
}

describe("pending keys", () => {
  it("are taken by priority, and in the order of arrival inside one", () => {
    const pending = new PendingKeys();
    const added: readonly [string, Priority][] = [
      ["a/retry", "retry"],
      ["a/first", "background"],
      ["a/owned", "default"],
      ["a/pair", "release"],
      ["a/pair-2", "release"],
      ["a/spec", "user"],
    ];
    for (const [key, priority] of added) pending.add(key, priority, 0);
    expect(takeAll(pending)).toEqual([
      "a/spec",
      "a/pair",
      "a/pair-2",
      "a/owned",
      "a/first",
      "a/retry",
    ]);
  });

  it("are raised and never lowered, and keep the time of their first add", () => {
    const pending = new PendingKeys();
    pending.add("a/x", "background", 1);
    pending.add("a/y", "default", 2);
    pending.add("a/x", "user", 3);
    pending.add("a/x", "retry", 4);
    expect(pending.size).toBe(2);
    expect(pending.take()).toEqual({ key: "a/x", priority: "user", since: 1 });
    expect(pending.take()).toEqual({ key: "a/y", priority: "default", since: 2 });
  });

  it("of several namespaces take turns inside a priority", () => {
    const pending = new PendingKeys();
    for (const name of ["1", "2", "3", "4"]) pending.add(`big/${name}`, "default", 0);
    pending.add("small/1", "default", 0);
    pending.add("tiny/1", "default", 0);
    pending.add("small/2", "default", 0);
    expect(takeAll(pending)).toEqual([
      "big/1",
      "small/1",
      "tiny/1",
      "big/2",
      "small/2",
      "big/3",
      "big/4",
    ]);
  });

  it("that are raised leave the turn of their namespace where it is", () => {
    const pending = new PendingKeys();
    for (const key of ["a/1", "a/2", "b/1"]) pending.add(key, "default", 0);
    pending.add("a/1", "user", 0);
    expect(takeAll(pending)).toEqual(["a/1", "a/2", "b/1"]);
  });

  it("of a namespace wait for few picks, whatever another namespace has of higher priority", () => {
    const pending = new PendingKeys();
    for (let n = 0; n < 1000; n += 1) pending.add(`big/${n}`, "user", 0);
    // Their turn is every fourth pick.
    for (const [name, priority] of [
      ["pair", "release"],
      ["late", "retry"],
    ] as const) {
      // prettier-ignore
      pending.add(`small/${name}`, priority, 1);
      let picks = 1;
      while (pending.take()?.key !== `small/${name}`) picks += 1;
      expect(picks).toBeLessThanOrEqual(NAMESPACE_PICK);
    }
  });

  it("of many namespaces take turns whatever their priority, in every fourth pick", () => {
    const pending = new PendingKeys();
    const names = Array.from({ length: 20 }, (_, n) => `tenant-${n}`);
    for (let n = 0; n < 1000; n += 1) pending.add(`big/${n}`, "user", 0);
    for (const name of names) pending.add(`${name}/app`, "retry", 1);
    const taken = Array.from({ length: NAMESPACE_PICK * 25 }, () => pending.take()?.key);
    expect(taken.filter((key) => key?.startsWith("tenant"))).toEqual(
      names.map((name) => `${name}/app`),
    );
  });

  it("of the lowest priority are taken although higher ones never run out", () => {
    const pending = new PendingKeys();
    pending.add("a/low", "retry", 0);
    const taken: (string | undefined)[] = [];
    for (let now = 1; now <= FAIR_PICK; now += 1) {
      pending.add(`a/high-${now}`, "user", now);
      taken.push(pending.take()?.key);
    }
    expect(taken.at(-1)).toBe("a/low");
  });

  it("are summed up by priority, with the time of the oldest", () => {
    const pending = new PendingKeys();
    pending.add("a/1", "default", 5);
    pending.add("b/1", "default", 3);
    expect(pending.summarize().get("default")).toEqual({ size: 2, oldest: 3 });
    expect(pending.summarize().get("user")).toEqual({ size: 0, oldest: undefined });
  });
});

describe("any sequence of adds and takes", () => {
  const key = fc
    .tuple(fc.constantFrom("big", "big", "small", "tiny"), fc.nat(5))
    .map(([namespace, index]) => `${namespace}/${index}`);
  const step = fc.oneof(
    { weight: 3, arbitrary: fc.record({ key, priority: fc.constantFrom(...priorities) }) },
    { weight: 2, arbitrary: fc.constant("take" as const) },
  );

  interface Waiting {
    readonly priority: Priority;
    readonly order: number;
  }

  const rankOf = (priority: Priority): number => priorities.indexOf(priority);

  it("loses no key, takes none twice, and takes the highest priority but for the fair picks", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const pending = new PendingKeys();
        const model = new Map<string, Waiting>();
        let [order, picks] = [0, 0];
        /** When a key of each namespace was picked last, or the first one came. */
        const lastTurns = new Map<string, number>();
        let turn = 0;
        const namespaceOf = (key: string): string => splitKey(key).namespace;
        const take = (): void => {
          picks += 1;
          const next = pending.take();
          const waiting = [...model].map(([key, one]) => ({ key, ...one }));
          type Key = Waiting & { readonly key: string };
          const lastTurn = ({ key }: Key): number => lastTurns.get(namespaceOf(key)) ?? 0;
          const hasPriority = (a: Key, b: Key): boolean => rankOf(a.priority) < rankOf(b.priority);
          const isBefore =
            picks % FAIR_PICK === 0
              ? (a: Key, b: Key) => a.order < b.order
              : picks % NAMESPACE_PICK === 0
                ? (a: Key, b: Key) =>
                    namespaceOf(a.key) === namespaceOf(b.key)
                      ? hasPriority(a, b)
                      : lastTurn(a) < lastTurn(b)
                : hasPriority;
          const taken = waiting.find(({ key }) => key === next?.key);
          expect(taken?.priority).toBe(next?.priority);
          expect(waiting.filter((one) => taken === undefined || isBefore(one, taken))).toEqual([]);
          const key = next?.key ?? "";
          model.delete(key);
          lastTurns.set(namespaceOf(key), (turn += 1));
        };
        for (const one of steps) {
          if (one === "take") {
            take();
            continue;
          }
          const present = model.get(one.key);
          const isFirst = ![...model.keys()].some(
            (key) => namespaceOf(key) === namespaceOf(one.key),
          );
          if (isFirst) lastTurns.set(namespaceOf(one.key), (turn += 1));
          const raised = present === undefined || rankOf(one.priority) < rankOf(present.priority);
          model.set(one.key, {
            priority: raised ? one.priority : present.priority,
            order: present?.order ?? (order += 1),
          });
          pending.add(one.key, one.priority, order);
          expect(pending.size).toBe(model.size);
        }
        while (model.size > 0) take();
        expect(pending.take()).toBeUndefined();
      }),
    );
  });

  it("delays a namespace by no more than one key of each other namespace", () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 2, maxLength: 6 });
    fc.assert(
      fc.property(sizes, (sizes) => {
        const pending = new PendingKeys();
        for (const [namespace, size] of sizes.entries())
          for (let index = 0; index < size; index += 1)
            pending.add(`ns${namespace}/${index}`, "default", index);
        const turns = takeAll(pending).map((key) => splitKey(key).namespace);
        for (const [namespace, size] of sizes.entries()) {
          const places = turns.flatMap((turn, at) => (turn === `ns${namespace}` ? [at + 1] : []));
          // The n-th key of a namespace comes within the first n rounds; each fair pick may take one place more.
          for (const [index, place] of places.entries()) {
            const rounds = (index + 1) * sizes.length;
            expect(place).toBeLessThanOrEqual(rounds + Math.ceil(rounds / (FAIR_PICK - 1)));
          }
          expect(places).toHaveLength(size);
        }
      }),
    );
  });
});
