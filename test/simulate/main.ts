import { parseArgs } from "node:util";

import { simulate } from "../../operator/aiapp/shell/simulation.testing.ts";

/**
 * `npm run simulate -- --seed N --hours H`: an app, its sources and the operator in virtual time, with random pushes,
 * faults, crashes and annotations. The same seed gives the same events. `--events` prints them, `--apps` has several apps
 * follow the same image and model, `--seeds` goes on with so many seeds, one after another.
 */

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    seeds: { type: "string", default: "1" },
    apps: { type: "string", default: "1" },
    hours: { type: "string", default: "100" },
    events: { type: "boolean", default: false },
  },
});
const [first, seeds, apps] = [values.seed, values.seeds, values.apps].map(Number);
const hours = Number(values.hours);
if (!isCount(first) || !isCount(seeds) || !isCount(apps) || !(hours > 0)) {
  console.error(
    "--seed, --seeds and --apps must be positive integers and --hours a positive number",
  );
  process.exit(2);
}
for (let seed = first; seed < first + seeds; seed += 1) {
  const { events, writes, problems, isConverged } = await simulate({ seed, hours, apps });
  if (values.events || problems.length > 0) for (const event of events) console.log(event);
  for (const problem of problems) console.error(problem);
  if (!isConverged) console.error("the newest good release does not serve in the end");
  console.log(
    `seed ${seed}: ${hours} h, ${events.length} events, ${writes} writes, ${problems.length} problems`,
  );
  if (problems.length > 0 || !isConverged) process.exitCode = 1;
}

function isCount(value: number | undefined): value is number {
  return Number.isInteger(value) && Number(value) > 0;
}
