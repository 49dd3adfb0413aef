/** Prints the steps of the demo with their durations. */
export interface Narrator {
  /** Runs a step. A terminal shows its title at once; the duration follows at its end. */
  readonly step: <T>(title: string, work: () => Promise<T>) => Promise<T>;
  readonly say: (line: string) => void;
  readonly heading: (line: string) => void;
}

function seconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(1)} s`;
}

export function createNarrator(out: NodeJS.WriteStream, now: () => number): Narrator {
  const colour = out.isTTY && !process.env["NO_COLOR"];
  const paint = (code: number, text: string): string =>
    colour ? `\u001B[${code}m${text}\u001B[0m` : text;
  const clear = out.isTTY ? "\r\u001B[2K" : "";

  async function step<T>(title: string, work: () => Promise<T>): Promise<T> {
    const began = now();
    if (out.isTTY) out.write(`  … ${title}`);
    try {
      const result = await work();
      out.write(`${clear}  ${paint(32, "✓")} ${title} ${paint(2, seconds(now() - began))}\n`);
      return result;
    } catch (error) {
      out.write(`${clear}  ${paint(31, "✗")} ${title} ${paint(2, seconds(now() - began))}\n`);
      throw error;
    }
  }

  return {
    step,
    say: (line) => out.write(`    ${line}\n`),
    heading: (line) => out.write(`\n${paint(1, line)}\n`),
  };
}
