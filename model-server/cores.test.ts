import { availableParallelism } from "node:os";

import { describe, expect, test } from "vitest";

import { cores, coresOf, type CpuFiles } from "./cores.ts";

const MACHINE = 8;

/** How the kernel writes a limit, in microseconds of a period: cgroup v2, and cgroup v1. */
const cgroups: readonly [string, (quota: number | undefined, period?: number) => CpuFiles][] = [
  [
    "cgroup v2",
    (quota, period = 100_000) => ({ max: `${quota ?? "max"} ${period}\n`, quota: "", period: "" }),
  ],
  [
    "cgroup v1",
    (quota, period = 100_000) => ({ max: "", quota: `${quota ?? -1}\n`, period: `${period}\n` }),
  ],
];

describe.each(cgroups)("the cores of a container with %s", (_, files) => {
  test.each([
    ["500m, which is at least one", 50_000, 1],
    ["1", 100_000, 1],
    ["1500m, rounded down", 150_000, 1],
    ["3", 300_000, 3],
    ["3999m, rounded down", 399_900, 3],
    ["more than the machine has", 1_600_000, MACHINE],
  ])("are those of its limit: %s", (_, quota, expected) => {
    expect(coresOf(MACHINE, files(quota))).toBe(expected);
  });

  test("follow the period that the limit is for", () => {
    expect(coresOf(MACHINE, files(40_000, 20_000))).toBe(2);
  });

  test("are all that Node.js sees without a limit", () => {
    expect(coresOf(MACHINE, files(undefined))).toBe(MACHINE);
  });

  test("are no more than Node.js sees, which knows the CPUs that the process may run on", () => {
    expect(coresOf(2, files(300_000))).toBe(2);
  });
});

describe("the cores", () => {
  test.each([
    ["there are no such files", { max: "", quota: "", period: "" }],
    ["the files hold something else", { max: "?\n", quota: "", period: "" }],
    ["a period is 0", { max: "100000 0\n", quota: "", period: "" }],
    ["there is only half of cgroup v1", { max: "", quota: "100000\n", period: "" }],
  ])("are all that Node.js sees where %s", (_, files) => {
    expect(coresOf(MACHINE, files)).toBe(MACHINE);
  });

  test("of this process are at least one, and no more than Node.js sees", () => {
    expect(cores()).toBeGreaterThanOrEqual(1);
    expect(cores()).toBeLessThanOrEqual(availableParallelism());
  });
});
