import { writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";

import { table, type Figure } from "./figures.ts";

/** `npm run bench -- NAME … [--json FILE]`: measures, prints a table, and exits 1 when a goal is missed. */
const benches = {
  polling: async (signal: AbortSignal) => (await import("./polling.ts")).run(signal),
  release: async (signal: AbortSignal) => (await import("./release.ts")).run(signal),
} as const satisfies Record<string, (signal: AbortSignal) => Promise<readonly Figure[]>>;

function isBench(name: string): name is keyof typeof benches {
  return Object.hasOwn(benches, name);
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
  const stop = new AbortController();
  process.once("SIGINT", () => stop.abort(new Error("interrupted")));
  process.once("SIGTERM", () => stop.abort(new Error("terminated")));
  const figures: Figure[] = [];
  for (const name of positionals.filter(isBench)) {
    figures.push(...(await benches[name](stop.signal)));
  }
  console.log(table(figures));
  if (values.json !== undefined)
    await writeFile(values.json, `${JSON.stringify(figures, null, 2)}\n`);
  process.exitCode = figures.every((figure) => figure.ok) ? 0 : 1;
}

await main();
