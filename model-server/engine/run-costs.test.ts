import { describe, expect, test } from "vitest";

import { createRunCosts } from "./run-costs.ts";

describe("what a run is expected to take", () => {
  test("is not known of a shape that few runs had", () => {
    const costs = createRunCosts();
    for (let run = 0; run < 7; run += 1) costs.observe("a", 1, 0.5);
    expect(costs.expectedMs("a", 1)).toBe(Infinity);
    costs.observe("a", 1, 0.5);
    expect(costs.expectedMs("a", 1)).toBe(0.5);
    expect(costs.expectedMs("a", 3)).toBe(1.5);
    expect(costs.expectedMs("b", 1)).toBe(Infinity);
  });

  test("becomes less a row as rows get cheaper together, and more again", () => {
    const costs = createRunCosts();
    for (let run = 0; run < 8; run += 1) costs.observe("a", 1, 0.5);
    for (let run = 0; run < 8; run += 1) costs.observe("a", 10, 2.5);
    expect(costs.expectedMs("a", 4)).toBe(1);
    for (let run = 0; run < 8; run += 1) costs.observe("a", 1, 2);
    expect(costs.expectedMs("a", 4)).toBe(8);
  });

  test("does not follow from one slow run, but from two", () => {
    const costs = createRunCosts();
    for (let run = 0; run < 8; run += 1) costs.observe("a", 1, 0.5);
    costs.observe("a", 1, 50);
    expect(costs.expectedMs("a", 1)).toBe(0.5);
    costs.observe("a", 1, 50);
    expect(costs.expectedMs("a", 1)).toBe(50);
  });

  test("is learned again when clients send too many shapes", () => {
    const costs = createRunCosts();
    for (let run = 0; run < 8; run += 1) costs.observe("a", 1, 0.5);
    for (let shape = 0; shape < 64; shape += 1) costs.observe(`other ${shape}`, 1, 0.5);
    expect(costs.expectedMs("a", 1)).toBe(Infinity);
  });
});
