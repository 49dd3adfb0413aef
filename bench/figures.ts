/** One measured figure and what it is held to. */
export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** As text: `<= 1.3`. Absent: reported without a goal. */
  readonly goal?: string;
  readonly ok: boolean;
}

/** A figure with an upper bound. */
export function atMost(name: string, value: number, unit: string, bound: number): Figure {
  return { name, value, unit, goal: `<= ${bound}`, ok: value <= bound };
}

/** A figure with a lower bound. */
export function atLeast(name: string, value: number, unit: string, bound: number): Figure {
  return { name, value, unit, goal: `>= ${bound}`, ok: value >= bound };
}

/** A figure without a goal, which explains others. */
export function reported(name: string, value: number, unit: string): Figure {
  return { name, value, unit, ok: true };
}

/** @param share from 0 to 1; of no values: 0 */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/** Three significant digits: more would be noise. */
function round(value: number): string {
  return Number.isInteger(value) ? String(value) : value.toPrecision(3);
}

export function table(figures: readonly Figure[]): string {
  const rows = figures.map(({ name, value, unit, goal, ok }) => [
    name,
    `${round(value)} ${unit}`.trim(),
    goal ?? "",
    goal === undefined ? "" : ok ? "ok" : "MISSED",
  ]);
  const widths = [0, 1, 2, 3].map((column) =>
    Math.max(...rows.map((row) => (row[column] ?? "").length), 0),
  );
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
