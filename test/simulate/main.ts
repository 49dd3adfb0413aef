import { parseArgs } from "node:util";

import { simulate } from "../../operator/aiapp/shell/simulation.testing.ts";

/**
 * `npm run simulate -- --seed N --hours H`: one app, its sources and the operator in virtual time, with random pushes,
 * faults, crashes and annotations. The same seed gives the same events. `--events` prints them.
 */

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    hours: { type: "string", default: "100" },
    events: { type: "boolean", default: false },
  },
});
const [seed, hours] = [Number(values.seed), Number(values.hours)];
if (!Number.isInteger(seed) || !(hours > 0)) {
  console.error("--seed must be an integer and --hours a positive number");
  process.exit(2);
}
const { events, writes, problems, isConverged } = await simulate({ seed, hours });
if (values.events || problems.length > 0) for (const event of events) console.log(event);
for (const problem of problems) console.error(problem);
if (!isConverged) console.error("the newest good release does not serve in the end");
console.log(
  `seed ${seed}: ${hours} h, ${events.length} events, ${writes} writes, ${problems.length} problems`,
);
process.exitCode = problems.length > 0 || !isConverged ? 1 : 0;
