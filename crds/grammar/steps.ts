/** Work on a long list in short steps, so that its caller can do other work between any two of them. */
export type Steps<T> = Generator<void, T, void>;

/** Takes all steps at once. */
export function lastOf<T>(steps: Steps<T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

/** Sorts as `toSorted` does, with a step for each comparison: merges sorted runs to longer ones. No item is undefined. */
export function* sortInSteps<T>(
  items: readonly T[],
  compare: (a: T, b: T) => number,
): Steps<readonly T[]> {
  let from: readonly T[] = items;
  for (let run = 1; run < items.length; run *= 2) {
    const merged: T[] = [];
    for (let start = 0; start < from.length; start += 2 * run) {
      const left = from.slice(start, start + run);
      const right = from.slice(start + run, start + 2 * run);
      let [l, r] = [0, 0];
      while (l < left.length || r < right.length) {
        yield;
        const [a, b] = [left[l], right[r]];
        if (b === undefined || (a !== undefined && compare(a, b) <= 0)) {
          if (a !== undefined) merged.push(a);
          l += 1;
        } else {
          merged.push(b);
          r += 1;
        }
      }
    }
    from = merged;
  }
  return from;
}
