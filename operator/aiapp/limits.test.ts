import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { API_VERSION, KIND } from "../../crds/names.ts";
import type { KubernetesObject } from "../kube/types.ts";
import { invalidStatus } from "./conditions/refused.ts";
import { excessOf, RECORD_LIMITS, SPEC_LIMITS } from "./limits.ts";
import { aiapp, digestOf, puller } from "./observed.testing.ts";
import { releaseOf } from "./release/identity.ts";
import { newRevision, readRecord } from "./release/record.ts";
import { renderTemplate } from "./resources/template.ts";
import { SpecCache } from "./spec-cache.ts";

/** `{a: {a: …}}`, so many levels deep. */
function nested(levels: number): object {
  let value: object = {};
  for (let level = 1; level < levels; level += 1) value = { a: value };
  return value;
}

function stored(podTemplate: object): KubernetesObject {
  const {
    metadata: { namespace, name, uid, generation },
    spec,
  } = aiapp();
  const metadata = { namespace, name, uid, generation };
  const object = { apiVersion: API_VERSION, kind: KIND, metadata, spec: { ...spec, podTemplate } };
  return object;
}

/** What the condition says of an AIApp with this podTemplate. */
function refusal(podTemplate: object): string | undefined {
  const object = stored(podTemplate);
  const parsed = new SpecCache().parse("shop/cats", object);
  if (parsed.success) return undefined;
  const { conditions } = invalidStatus(object, parsed.error, 0);
  const stalled = conditions?.find(({ type }) => type === "Stalled");
  return `${stalled?.reason}: ${stalled?.message}`;
}

describe("an AIApp", () => {
  it("with a podTemplate of 5,000 levels is refused with a condition", () => {
    expect(refusal(nested(5000))).toBe(
      "InvalidSpec: spec is not valid: spec is nested more than 64 levels deep; correct it and apply again",
    );
  });

  it("with a podTemplate of 1.4 MB is refused with a condition", () => {
    const args = Array.from({ length: 1400 }, () => "x".repeat(1000));
    expect(refusal({ spec: { containers: [{ name: "server", args }] } })).toBe(
      "InvalidSpec: spec is not valid: spec is larger than 256 KiB; correct it and apply again",
    );
  });

  it("with a million empty members is refused before they are walked", () => {
    expect(refusal({ a: Array.from({ length: 1_000_000 }, () => 0) })).toContain("256 KiB");
  });

  it("with a podTemplate as deep and as large as people write them is read", () => {
    const preference = { matchExpressions: [{ key: "zone", operator: "In", values: ["a"] }] };
    const preferred = [{ weight: 1, preference }];
    const nodeAffinity = { preferredDuringSchedulingIgnoredDuringExecution: preferred };
    const env = Array.from({ length: 100 }, (_, n) => ({ name: `N${n}`, value: "x".repeat(1000) }));
    const spec = { affinity: { nodeAffinity }, containers: [{ name: "server", env }] };
    expect(refusal({ spec })).toBeUndefined();
  });
});

describe("a release's record", () => {
  function record(deep: object): ReturnType<typeof newRevision> {
    const app = aiapp();
    const pair = { image: app.spec.image, imageDigest: digestOf("i"), modelVersion: "1", modelDigest: digestOf("m") }; // prettier-ignore
    const release = releaseOf(app.spec, pair);
    const template = renderTemplate(app, release, puller);
    const parts = { revision: 1, journal: [], request: undefined, stored: undefined };
    const revision = newRevision(app, { ...release, ...parts, template });
    const metadata = { ...revision.metadata, uid: "1" };
    return { ...revision, metadata, data: { ...revision.data, deep } };
  }

  it("is read with the deepest podTemplate that the spec may have, and not beyond", () => {
    expect(readRecord(record(nested(SPEC_LIMITS.depth)))).toBeDefined();
    expect(readRecord(record(nested(5000)))).toBeUndefined();
  });
});

describe("the size of a value", () => {
  it("is about that of its JSON: at most twice as much, and no less than an eighth", () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 5 }), (value) => {
        const json = Buffer.byteLength(JSON.stringify(value));
        const fits = (bytes: number): boolean =>
          excessOf(value, { depth: 64, bytes }) === undefined;
        expect(fits(json * 2 + 8)).toBe(true);
        expect(fits(Math.floor(json / 8) - 8)).toBe(false);
      }),
    );
  });

  it("leaves records room for both copies of a spec", () => {
    expect(RECORD_LIMITS.bytes).toBeGreaterThan(2 * SPEC_LIMITS.bytes + 100_000);
  });
});
