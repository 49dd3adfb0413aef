import { parseArgs } from "node:util";

export interface SoakOptions {
  readonly releases: number;
  readonly bad: number;
  readonly kills: number;
  readonly replicas: number;
  readonly seed: number;
}

const MOST = 10_000;

export const usage = `usage: npm run soak -- [--releases N] [--bad N] [--kills N] [--replicas N] [--seed N]
  --releases N  good releases, one after the other (50; at most ${MOST})
  --bad N       bad ones among them, of each kind in turn (20; at most ${MOST})
  --kills N     how often the operator's leader is killed, at random moments (0; at most ${MOST}; local cluster only)
  --replicas N  of the app (1; at most 10)
  --seed N      of the moments (1)`;

/** @throws {Error} when an option is not a whole number in its range */
export function readOptions(args: readonly string[]): SoakOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      releases: { type: "string", default: "50" },
      bad: { type: "string", default: "20" },
      kills: { type: "string", default: "0" },
      replicas: { type: "string", default: "1" },
      seed: { type: "string", default: "1" },
    },
  });
  return {
    releases: amount("releases", values.releases, 1, MOST),
    bad: amount("bad", values.bad, 0, MOST),
    kills: amount("kills", values.kills, 0, MOST),
    replicas: amount("replicas", values.replicas, 1, 10),
    seed: amount("seed", values.seed, 0, 2 ** 31),
  };
}

function amount(name: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < least || value > most)
    throw new Error(`--${name} must be a whole number from ${least} to ${most}, not ${text}`);
  return value;
}
