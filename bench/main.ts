import { writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";

import { explain, preflight } from "../test/cluster/preflight.ts";
import { untilInterrupted } from "../test/cluster/process.ts";
import { runInside, withLocal } from "../test/support/outside.ts";
import { GIVEN } from "../test/support/platform.ts";
import { table, type Figure } from "./figures.ts";
import * as polling from "./polling.ts";
import * as release from "./release.ts";

/** `npm run bench -- NAME … [--json FILE]`: measures, prints a table, and exits 1 when a goal is missed. */
const benches = {
  polling: polling.run,
  release: release.run,
} as const satisfies Record<string, () => Promise<readonly Figure[]>>;

function isBench(name: string): name is keyof typeof benches {
  return Object.hasOwn(benches, name);
}

/** These run beside the cluster, in its network: brings it up and runs this program there. */
async function beside(): Promise<number> {
  const lacks = await preflight();
  if (lacks.length > 0) {
    console.error(explain(lacks));
    return 1;
  }
  return withLocal({ signal: untilInterrupted() }, (prepared) =>
    runInside(prepared, [process.execPath, import.meta.filename, ...process.argv.slice(2)]),
  );
}

async function main(): Promise<void> {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: { json: { type: "string" } },
  });
  const unknown = positionals.filter((name) => !isBench(name));
  if (positionals.length === 0 || unknown.length > 0) {
    const complaint = unknown.length > 0 ? `no bench is named ${unknown.join(", ")}; ` : "";
    console.error(
      `${complaint}usage: npm run bench -- ${Object.keys(benches).join(" | ")} [--json FILE]`,
    );
    process.exitCode = 2;
    return;
  }
  if (process.env[GIVEN] === undefined) {
    process.exitCode = await beside();
    return;
  }
  const figures: Figure[] = [];
  for (const name of positionals.filter(isBench)) figures.push(...(await benches[name]()));
  console.log(table(figures));
  if (values.json !== undefined)
    await writeFile(values.json, `${JSON.stringify(figures, null, 2)}\n`);
  process.exitCode = figures.every((figure) => figure.ok) ? 0 : 1;
}

await main();
