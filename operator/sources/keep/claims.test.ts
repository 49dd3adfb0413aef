import { describe, expect, it } from "vitest";

import { MANIFEST } from "../../../crds/bundle.ts";
import type { StoredFile } from "../model/model-store.ts";
import { CLAIM_MS, isUnclaimed, renewed, type Metadata } from "./claims.ts";
import { deletable } from "./sweep.ts";

const NOW = Date.parse("2026-03-01T00:00:00Z");
const DAY = 24 * 3600_000;
const UID = "8F14e45f-ceea-467a-9c2b-2f1d3b1a0c11";

function claimedBy(uids: readonly string[], at = NOW): Metadata {
  return uids.reduce<Metadata>((metadata, uid) => renewed(metadata, uid, at) ?? metadata, {});
}

describe("a claim", () => {
  it("is a valid name of metadata, and is written once a day", () => {
    const metadata = renewed(undefined, UID, NOW);
    expect(metadata).toEqual({ claim_8f14e45fceea467a9c2b2f1d3b1a0c11: String(NOW) });
    expect(renewed(metadata, UID, NOW + DAY - 1)).toBeUndefined();
    expect(Object.values(renewed(metadata, UID, NOW + DAY) ?? {})).toEqual([String(NOW + DAY)]);
  });

  it("leaves those of other apps, and drops those that are over", () => {
    const metadata = { ...claimedBy(["old"], NOW - CLAIM_MS), ...claimedBy(["other"], NOW - DAY) };
    expect(renewed(metadata, "own", NOW)).toEqual({
      claim_other: String(NOW - DAY),
      claim_own: String(NOW),
    });
  });

  it("holds for two weeks; then no app needs the copy", () => {
    const metadata = claimedBy(["own"]);
    expect(isUnclaimed(metadata, NOW + CLAIM_MS - 1)).toBe(false);
    expect(isUnclaimed(metadata, NOW + CLAIM_MS)).toBe(true);
    expect(isUnclaimed(undefined, NOW)).toBe(true);
  });

  it("counts however many apps make one, in bounded metadata", () => {
    const uids = Array.from({ length: 300 }, (_, index) => `app-${index}`);
    const metadata = claimedBy(uids);
    expect(JSON.stringify(metadata).length).toBeLessThan(8192);
    const late = renewed(metadata, "app-299", NOW + DAY) ?? {};
    expect(isUnclaimed({ claim_shared: late["claim_shared"] ?? "" }, NOW + DAY)).toBe(false);
  });
});

describe("what a sweep deletes", () => {
  function file(path: string, modifiedAt: number, metadata?: Metadata): StoredFile {
    return { path, size: 1, etag: "1", committed: true, copy: "done", modifiedAt, metadata };
  }
  const paths = (files: readonly StoredFile[], at: number): readonly string[] =>
    deletable(files, at).map(({ path }) => path);

  it("is nothing of a version that an app claims", () => {
    const files = [file("model.onnx", 0), file(MANIFEST, 0, claimedBy(["own"]))];
    expect(paths(files, NOW + CLAIM_MS - 1)).toEqual([]);
  });

  it("is the manifest first of a version that none claims: without it a copy does not count", () => {
    const files = [file("model.onnx", 0), file(MANIFEST, 0, claimedBy(["own"]))];
    expect(paths(files, NOW + CLAIM_MS)).toEqual([MANIFEST, "model.onnx"]);
  });

  it("is no copy that may be under way, and one that was given up", () => {
    const files = [file("a.onnx", NOW - CLAIM_MS), file("b.onnx", NOW)];
    expect(paths(files, NOW)).toEqual([]);
    expect(paths(files, NOW + CLAIM_MS)).toEqual(["a.onnx", "b.onnx"]);
  });
});
