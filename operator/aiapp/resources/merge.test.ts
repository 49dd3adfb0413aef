import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { mergeStrategically } from "./merge.ts";

describe("a list with a merge key", () => {
  const base = {
    containers: [
      { name: "server", image: "cats:1", env: [{ name: "PORT", value: "8080" }] },
      { name: "proxy", image: "proxy:1" },
    ],
    volumes: [{ name: "model", emptyDir: {} }],
  };

  it("is merged element by element, in place", () => {
    const patch = { containers: [{ name: "proxy", image: "proxy:2" }] };
    expect(mergeStrategically(base, patch)).toEqual({
      ...base,
      containers: [base.containers[0], { name: "proxy", image: "proxy:2" }],
    });
  });

  it("is merged at every depth", () => {
    const env = [
      { name: "LEVEL", value: "info" },
      { name: "PORT", value: "9090" },
    ];
    expect(mergeStrategically(base, { containers: [{ name: "server", env }] })).toEqual({
      ...base,
      containers: [
        {
          name: "server",
          image: "cats:1",
          env: [
            { name: "PORT", value: "9090" },
            { name: "LEVEL", value: "info" },
          ],
        },
        base.containers[1],
      ],
    });
  });

  it("takes new elements after those that are there", () => {
    const volume = { name: "cache", emptyDir: { medium: "Memory" } };
    expect(mergeStrategically(base, { volumes: [volume] })).toEqual({
      ...base,
      volumes: [...base.volumes, volume],
    });
  });

  it("loses an element to `$patch: delete`, and nothing when there is no such element", () => {
    const patch = (name: string): unknown => ({ containers: [{ name, $patch: "delete" }] });
    expect(mergeStrategically(base, patch("proxy"))).toEqual({
      ...base,
      containers: [base.containers[0]],
    });
    expect(mergeStrategically(base, patch("none"))).toEqual(base);
  });

  it.each([
    { list: "volumeMounts", key: "mountPath" },
    { list: "ports", key: "containerPort" },
    { list: "hostAliases", key: "ip" },
    { list: "imagePullSecrets", key: "name" },
    { list: "topologySpreadConstraints", key: "topologyKey" },
  ])("has the key that Kubernetes gives it ($list by $key)", ({ list, key }) => {
    const merged = mergeStrategically(
      { [list]: [{ [key]: "a", kept: true }] },
      { [list]: [{ [key]: "a", changed: true }] },
    );
    expect(merged).toEqual({ [list]: [{ [key]: "a", kept: true, changed: true }] });
  });
});

it("keeps two new ports of one number apart: a port may be asked by TCP and by UDP", () => {
  const ports = [
    { containerPort: 53, protocol: "TCP" },
    { containerPort: 53, protocol: "UDP" },
  ];
  const patch = { containers: [{ name: "dns", ports }] };
  expect(mergeStrategically({ containers: [] }, patch)).toEqual(patch);
});

describe("a value without a merge key", () => {
  it("is replaced: lists of words and of unnamed things are one value", () => {
    const base = { command: ["node", "a.ts"], tolerations: [{ key: "gpu" }], replicas: 1 };
    const patch = { command: ["sh"], tolerations: [], replicas: 2 };
    expect(mergeStrategically(base, patch)).toEqual(patch);
  });

  it("is merged by key when it is a map", () => {
    expect(
      mergeStrategically(
        { nodeSelector: { pool: "cpu", zone: "1" } },
        { nodeSelector: { zone: "2" } },
      ),
    ).toEqual({ nodeSelector: { pool: "cpu", zone: "2" } });
  });

  it("takes the place of what has another shape", () => {
    expect(mergeStrategically({ a: ["x"], b: "x" }, { a: { c: 1 }, b: { c: 1 } })).toEqual({
      a: { c: 1 },
      b: { c: 1 },
    });
  });
});

describe("null", () => {
  it("removes a member", () => {
    const base = { securityContext: { runAsNonRoot: true, runAsUser: 1000 } };
    expect(mergeStrategically(base, { securityContext: { runAsUser: null } })).toEqual({
      securityContext: { runAsNonRoot: true },
    });
    expect(mergeStrategically(base, { securityContext: null })).toEqual({});
  });

  it("leaves nothing behind where there was nothing to remove", () => {
    expect(mergeStrategically({}, { a: { b: null, c: 1 } })).toEqual({ a: { c: 1 } });
    const patch = {
      containers: [
        {
          name: "proxy",
          env: [
            { name: "A", value: null, valueFrom: {} },
            { name: "B", $patch: "delete" },
          ],
        },
      ],
    };
    expect(mergeStrategically({}, patch)).toEqual({
      containers: [{ name: "proxy", env: [{ name: "A", valueFrom: {} }] }],
    });
  });
});

it("never reaches a prototype", () => {
  const patch: unknown = JSON.parse(
    '{"__proto__":{"evil":1},"constructor":{"prototype":{"evil":1}}}',
  );
  expect(mergeStrategically({}, patch)).toEqual({});
  expect(Reflect.get({}, "evil")).toBeUndefined();
});

describe("any template", () => {
  const word = fc.constantFrom("a", "b", "c");
  const words = fc.array(word, { maxLength: 3 });

  /** Part of a PodTemplateSpec; a patch may also hold null and `$patch: delete`. */
  function templates(patch: boolean): fc.Arbitrary<unknown> {
    const member = <T>(value: fc.Arbitrary<T>) => (patch ? fc.option(value, { freq: 3 }) : value);
    const list = (members: Record<string, fc.Arbitrary<unknown>>) => {
      const directive = patch ? { $patch: fc.constant("delete") } : {};
      const element = fc.oneof(
        { weight: 4, arbitrary: fc.record({ name: word, ...members }, { requiredKeys: ["name"] }) },
        { weight: 1, arbitrary: fc.record({ name: word, ...directive }) },
      );
      return fc.uniqueArray(element, { selector: ({ name }) => name, maxLength: 3 });
    };
    const some = (members: Record<string, fc.Arbitrary<unknown>>) =>
      fc.record(members, { requiredKeys: [] });
    return some({
      containers: member(
        list({
          image: member(word),
          command: member(words),
          env: member(list({ value: member(word) })),
          resources: member(some({ limits: member(fc.dictionary(word, member(word))) })),
        }),
      ),
      volumes: member(list({ emptyDir: fc.constant({}) })),
      nodeSelector: member(fc.dictionary(word, member(word))),
      tolerations: member(fc.array(fc.record({ key: word }), { maxLength: 2 })),
    });
  }

  it("is the same when nothing is merged over it", () => {
    fc.assert(
      fc.property(templates(false), fc.constantFrom(undefined, {}), (base, nothing) => {
        expect(mergeStrategically(base, nothing)).toEqual(base);
      }),
    );
  });

  it("is the same when it is merged over itself", () => {
    fc.assert(
      fc.property(templates(false), (base) => {
        expect(mergeStrategically(base, base)).toEqual(base);
      }),
    );
  });

  it("is the same whether a patch is merged once or twice", () => {
    fc.assert(
      fc.property(templates(false), templates(true), (base, patch) => {
        const once = mergeStrategically(base, patch);
        expect(mergeStrategically(once, patch)).toEqual(once);
      }),
    );
  });

  it("holds no null and no directive after a merge, and base and patch stay as they were", () => {
    fc.assert(
      fc.property(templates(false), templates(true), (base, patch) => {
        const before = JSON.stringify([base, patch]);
        const text = JSON.stringify(mergeStrategically(base, patch));
        expect(text).not.toContain("null");
        expect(text).not.toContain("$patch");
        expect(JSON.stringify([base, patch])).toBe(before);
      }),
    );
  });
});
