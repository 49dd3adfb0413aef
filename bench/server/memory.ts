import { reported, type Figure } from "../figures.ts";
import { ensureWrk, load } from "./load.ts";
import { cnn, dense, mlp, type BenchModel } from "./models.ts";
import { binaryRequest, startOurs } from "./ours.ts";

/** What the model server's memory is to the size of its model and the number of its workers: decision 0024. */

const WORKERS = [1, 2, 4] as const;
const SECONDS = 8;
const CONNECTIONS = 32;

async function memoryWith(
  name: string,
  model: BenchModel,
  workers: number,
): Promise<readonly Figure[]> {
  const server = await startOurs(model, { WORKERS: String(workers) });
  try {
    const { residentMb } = await server.memory();
    await load(binaryRequest(server.url, model), { connections: CONNECTIONS, seconds: SECONDS });
    const { peakMb } = await server.memory();
    const title = `${name}, ${workers} ${workers === 1 ? "worker" : "workers"}`;
    return [
      reported(`${title}: memory at rest`, residentMb, "MB"),
      reported(`${title}: at its peak`, peakMb, "MB"),
    ];
  } finally {
    await server.close();
  }
}

export async function run(): Promise<readonly Figure[]> {
  await ensureWrk();
  const models = [
    ["MLP, 4 MB", await mlp()],
    ["CNN, 102 MB", await cnn()],
    ["dense, 101 MB", await dense(6)],
    ["dense, 403 MB", await dense(24)],
  ] as const;
  const figures: Figure[] = [];
  for (const [name, model] of models)
    for (const workers of WORKERS) figures.push(...(await memoryWith(name, model, workers)));
  return figures;
}
