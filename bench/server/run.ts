import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { execa } from "execa";
import sharp from "sharp";

import { cores } from "../../model-server/cores.ts";
import { atLeast, atMost, median, reported, type Figure } from "../figures.ts";
import type { BareOptions } from "./bare.ts";
import { ensureWrk, load, type LoadRequest, type LoadResult } from "./load.ts";
import { randomOf } from "../../operator/random.testing.ts";
import { cnn, mlp, type BenchModel } from "./models.ts";
import { binaryRequest, imageRequest, jsonRequest, startEmpty, startOurs } from "./ours.ts";

/** The model server against the bare runtime, in turns: only the ratios of one run hold. */

const ROUNDS = 3;
const SECONDS = 5;
const STARTS = 5;

export async function bare(options: Omit<BareOptions, "threads" | "seconds">): Promise<number> {
  const all: BareOptions = { ...options, threads: cores(), seconds: SECONDS };
  const { stdout } = await execa(process.execPath, [
    join(import.meta.dirname, "bare.ts"),
    JSON.stringify(all),
  ]);
  return Number(stdout);
}

/** So many rounds of each of these, in turns. */
async function inTurns<T>(
  tasks: Readonly<Record<string, () => Promise<T>>>,
): Promise<ReadonlyMap<string, readonly T[]>> {
  const results = new Map<string, T[]>(Object.keys(tasks).map((name) => [name, []]));
  for (let round = 0; round < ROUNDS; round += 1)
    for (const [name, task] of Object.entries(tasks)) results.get(name)?.push(await task());
  return results;
}

/** The median of the rounds' ratios: what the machine does beside falls on both sides of each. */
function ratioOf(above: readonly number[], below: readonly number[]): number {
  return median(above.map((value, round) => value / (below[round] ?? Number.NaN)));
}

function loadAt(connections: number): (request: LoadRequest) => Promise<LoadResult> {
  return (request) => load(request, { connections, seconds: SECONDS });
}

/** A photograph's size and noise: 640 × 480, about 80 kB. */
export async function photograph(): Promise<Buffer> {
  const [width, height] = [640, 480];
  const random = randomOf(7);
  const pixels = Buffer.alloc(width * height * 3);
  for (let y = 0; y < height; y += 1)
    for (let x = 0; x < width; x += 1)
      for (let channel = 0; channel < 3; channel += 1)
        pixels[(y * width + x) * 3 + channel] =
          128 + 80 * Math.sin((x + channel * 50) / 40) * Math.cos(y / 30) + 40 * random();
  return sharp(pixels, { raw: { width, height, channels: 3 } })
    .jpeg({ quality: 80 })
    .toBuffer();
}

async function rawTensors(model: BenchModel): Promise<readonly Figure[]> {
  const server = await startOurs(model);
  try {
    const request = binaryRequest(server.url, model);
    await load(request, { connections: 8, seconds: 1 });
    const results = await inTurns<LoadResult>({
      bare: async () => rateOnly(await bare({ ...model, rows: 1 })),
      at8: () => loadAt(8)(request),
      at32: () => loadAt(32)(request),
    });
    const [base = [], at8 = [], at32 = []] = results.values();
    return [
      reported("CNN: bare loop", median(ratesOf(base)), "items/s"),
      reported("CNN: raw tensors at 8", median(ratesOf(at8)), "items/s"),
      atLeast("  against the bare loop", ratioOf(ratesOf(at8), ratesOf(base)), "", 0.95),
      reported("CNN: raw tensors at 32", median(ratesOf(at32)), "items/s"),
      atLeast("  against the bare loop", ratioOf(ratesOf(at32), ratesOf(base)), "", 0.95),
      atMost("  p99 / p50", median(at32.map(({ p99Ms, p50Ms }) => p99Ms / p50Ms)), "", 1.5),
      atMost("  failed", sumOfFailed([...at8, ...at32]), "", 0),
      ...(await memoryOf("CNN", server)),
    ];
  } finally {
    await server.close();
  }
}

async function images(model: BenchModel, folder: string): Promise<readonly Figure[]> {
  const image = join(folder, "image.jpg");
  const bytes = await photograph();
  await writeFile(image, bytes);
  const server = await startOurs(model);
  try {
    const request = imageRequest(server.url, bytes);
    await load(request, { connections: 8, seconds: 1 });
    const results = await inTurns<LoadResult>({
      bare: async () => rateOnly(await bare({ ...model, rows: 1, image })),
      at8: () => loadAt(8)(request),
      at32: () => loadAt(32)(request),
    });
    const [base = [], at8 = [], at32 = []] = results.values();
    return [
      reported("image: bare sharp and runtime", median(ratesOf(base)), "items/s"),
      reported("image: /score at 8", median(ratesOf(at8)), "items/s"),
      atLeast("  against bare", ratioOf(ratesOf(at8), ratesOf(base)), "", 0.9),
      reported("image: /score at 32", median(ratesOf(at32)), "items/s"),
      atLeast("  against bare", ratioOf(ratesOf(at32), ratesOf(base)), "", 0.9),
      reported("  p99 / p50", median(at32.map(({ p99Ms, p50Ms }) => p99Ms / p50Ms)), ""),
      atMost("  failed", sumOfFailed([...at8, ...at32]), "", 0),
      ...(await memoryOf("image", server)),
    ];
  } finally {
    await server.close();
  }
}

async function small(model: BenchModel): Promise<readonly Figure[]> {
  const server = await startOurs(model);
  const empty = await startEmpty(200);
  try {
    const binary = binaryRequest(server.url, model);
    const json = jsonRequest(server.url, model);
    await load(binary, { connections: 32, seconds: 2 });
    await load(json, { connections: 32, seconds: 1 });
    const results = await inTurns<LoadResult>({
      empty: () => loadAt(32)({ ...binary, url: `${empty.url}/v2/models/model/infer` }),
      at1: () => loadAt(1)(binary),
      at8: () => loadAt(8)(binary),
      at32: () => loadAt(32)(binary),
      json: () => loadAt(32)(json),
    });
    const [base = [], at1 = [], at8 = [], at32 = [], text = []] = results.values();
    return [
      reported("MLP: the same HTTP stack, empty handler, at 32", median(ratesOf(base)), "req/s"),
      reported("MLP: binary at 1", median(ratesOf(at1)), "req/s"),
      reported("MLP: binary at 8", median(ratesOf(at8)), "req/s"),
      reported("MLP: binary at 32", median(ratesOf(at32)), "req/s"),
      atLeast("  against the empty handler", ratioOf(ratesOf(at32), ratesOf(base)), "", 0.8),
      reported("  p99", median(at32.map(({ p99Ms }) => p99Ms)), "ms"),
      reported("MLP: JSON at 32", median(ratesOf(text)), "req/s"),
      atMost("  failed", sumOfFailed([...at1, ...at8, ...at32, ...text]), "", 0),
      ...(await memoryOf("MLP", server)),
    ];
  } finally {
    await server.close();
    await empty.close();
  }
}

/** Start to ready, and the memory at rest, of fresh processes. */
async function starts(
  name: string,
  model: BenchModel,
  goalMs?: number,
): Promise<readonly Figure[]> {
  const ready: number[] = [];
  const resting: number[] = [];
  for (let start = 0; start < STARTS; start += 1) {
    const server = await startOurs(model);
    ready.push(server.readyMs);
    resting.push((await server.memory()).residentMb);
    await server.close();
  }
  const title = `${name}: start to ready`;
  return [
    goalMs === undefined
      ? reported(title, median(ready), "ms")
      : atMost(title, median(ready), "ms", goalMs),
    atMost(`${name}: memory at rest`, median(resting), "MB", MAX_MEMORY_MB),
  ];
}

const MAX_MEMORY_MB = 400;

async function memoryOf(
  name: string,
  server: {
    readonly memory: () => Promise<{ readonly residentMb: number; readonly peakMb: number }>;
  },
): Promise<readonly Figure[]> {
  const { peakMb } = await server.memory();
  return [atMost(`${name}: peak memory under load`, peakMb, "MB", MAX_MEMORY_MB)];
}

function ratesOf(results: readonly LoadResult[]): readonly number[] {
  return results.map(({ rate }) => rate);
}

function rateOnly(rate: number): LoadResult {
  return { rate, p50Ms: 0, p99Ms: 0, failed: 0 };
}

function sumOfFailed(results: readonly LoadResult[]): number {
  return results.reduce((sum, { failed }) => sum + failed, 0);
}

const parts = new Map<string, (folder: string) => Promise<readonly Figure[]>>([
  ["mlp", async () => small(await mlp())],
  ["mlp-start", async () => starts("MLP", await mlp(), 500)],
  ["cnn", async () => rawTensors(await cnn())],
  ["cnn-start", async () => starts("CNN", await cnn())],
  ["image", async (folder) => images(await cnn(), folder)],
]);

export const PARTS: readonly string[] = [...parts.keys()];

export interface ServerBenchOptions {
  /** One of `PARTS`; undefined: all of them. */
  readonly only: string | undefined;
}

export async function run({ only }: ServerBenchOptions): Promise<readonly Figure[]> {
  await ensureWrk();
  const folder = await mkdtemp(join(tmpdir(), "aiapp-bench-"));
  try {
    const figures: Figure[] = [];
    for (const [name, part] of parts)
      if (only === undefined || name === only) figures.push(...(await part(folder)));
    return figures;
  } finally {
    await rm(folder, { recursive: true });
  }
}
