import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { writeHeapSnapshot } from "node:v8";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { summarizeHeap } from "./heap.ts";

class Bulk {
  readonly values = Array.from({ length: 10 }, () => Math.random());
}

let folder: string;
beforeAll(async () => (folder = await mkdtemp(join(tmpdir(), "heap-"))));
afterAll(() => rm(folder, { recursive: true, force: true }));

describe("the summary of a heap snapshot", () => {
  it("counts objects by constructor, biggest groups first", async () => {
    const bulk = Array.from({ length: 1234 }, () => new Bulk());
    const { groups } = await summarizeHeap(writeHeapSnapshot(join(folder, "test")), 10_000);
    expect(groups.find(({ name }) => name === "object Bulk")?.count).toBe(bulk.length);
    const sizes = groups.map(({ bytes }) => bytes);
    expect(sizes).toEqual(sizes.toSorted((a, b) => b - a));
  });
});
