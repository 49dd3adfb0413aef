import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/**
 * The most memory that arrays hold while something runs, beyond what they hold before. Garbage is collected before each
 * look: how late that happens by itself depends on the machine's load, and resident memory is mostly garbage.
 */
export async function growthDuring(run: () => Promise<void>): Promise<number> {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const held = (): number => {
    collect();
    return process.memoryUsage().arrayBuffers;
  };
  const before = held();
  let most = before;
  const timer = setInterval(() => {
    most = Math.max(most, held());
  }, 250);
  try {
    await run();
  } finally {
    clearInterval(timer);
  }
  return most - before;
}
