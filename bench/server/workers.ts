import { cores } from "../../model-server/cores.ts";
import { atMost, reported, type Figure } from "../figures.ts";
import { ensureWrk, load } from "./load.ts";
import { cnn, type BenchModel } from "./models.ts";
import { binaryRequest, startOurs } from "./ours.ts";

/** The CNN by a worker for each core, and by one that has all of them: docs/model-server.md. */

const SECONDS = 8;
const CONNECTIONS = [1, 8, 32] as const;

async function measure(model: BenchModel, workers: number): Promise<readonly Figure[]> {
  const server = await startOurs(model, { WORKERS: String(workers) });
  const figures: Figure[] = [];
  const add = (name: string, value: number, unit: string): void => {
    figures.push(reported(`WORKERS=${workers}: ${name}`, value, unit));
  };
  try {
    add("memory at rest", (await server.memory()).residentMb, "MB");
    const request = binaryRequest(server.url, model);
    for (const connections of CONNECTIONS) {
      await load(request, { connections, seconds: 2 });
      const { rate, p50Ms, failed } = await load(request, { connections, seconds: SECONDS });
      const at = `${connections} ${connections === 1 ? "connection" : "connections"}`;
      add(`${at}, requests a second`, rate, "req/s");
      add(`${at}, half within`, p50Ms, "ms");
      figures.push(atMost(`WORKERS=${workers}: ${at}, failed`, failed, "", 0));
    }
    add("memory at its peak", (await server.memory()).peakMb, "MB");
    return figures;
  } finally {
    await server.close();
  }
}

export async function run(): Promise<readonly Figure[]> {
  await ensureWrk();
  const model = await cnn();
  return [...(await measure(model, cores())), ...(await measure(model, 1))];
}
