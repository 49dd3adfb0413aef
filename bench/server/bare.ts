import { readFile } from "node:fs/promises";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";

import { InferenceSession, Tensor } from "onnxruntime-node";
import sharp from "sharp";

/**
 * The runtime without a server: `node bare.ts OPTIONS-AS-JSON` runs a model in a loop in so many threads, prints how many
 * items a second that makes, and ends. A program of its own, since a process never gets back what a session has taken.
 */
export interface BareOptions {
  readonly file: string;
  /** Of one item. */
  readonly shape: readonly number[];
  /** Rows of a run. */
  readonly rows: number;
  readonly threads: number;
  readonly seconds: number;
  /** Each item is this image, decoded and resized by sharp. */
  readonly image?: string;
}

const WARM_UP_SECONDS = 1;

async function decode(
  image: Buffer,
  data: Float32Array,
  width: number,
  height: number,
): Promise<void> {
  const pixels = await sharp(image)
    .resize(width, height, { fit: "cover", kernel: "linear" })
    .removeAlpha()
    .raw()
    .toBuffer();
  const area = width * height;
  for (let channel = 0; channel < 3; channel += 1)
    for (let at = 0; at < area; at += 1)
      data[channel * area + at] = (pixels[at * 3 + channel] ?? 0) / 255;
}

async function loop({ file, shape, rows, seconds, ...options }: BareOptions): Promise<number> {
  const image = options.image === undefined ? undefined : await readFile(options.image);
  const session = await InferenceSession.create(file, {
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    executionMode: "sequential",
    logSeverityLevel: 4,
  });
  const dims = [rows, ...shape];
  const data = new Float32Array(dims.reduce((product, dim) => product * dim, 1)).fill(0.5);
  const [, height = 0, width = 0] = shape;
  const run = async (): Promise<void> => {
    if (image !== undefined) await decode(image, data, width, height);
    await session.run({ x: new Tensor("float32", data, dims) });
  };
  const during = async (ms: number): Promise<number> => {
    const began = performance.now();
    let items = 0;
    let elapsed = 0;
    while (elapsed < ms) {
      await run();
      items += rows;
      elapsed = performance.now() - began;
    }
    return (items / elapsed) * 1000;
  };
  await run();
  parentPort?.postMessage("loaded", []);
  // All at once: one alone would have the machine to itself.
  await new Promise((resolve) => parentPort?.once("message", resolve));
  await during(WARM_UP_SECONDS * 1000);
  return during(seconds * 1000);
}

async function measure(options: BareOptions): Promise<number> {
  process.env["ORT_DISABLE_TELEMETRY"] = "1";
  sharp.cache(false);
  sharp.concurrency(1);
  const workers = Array.from(
    { length: options.threads },
    () => new Worker(import.meta.filename, { workerData: options }),
  );
  const next = (): Promise<unknown[]> =>
    Promise.all(
      workers.map(
        (worker) =>
          new Promise<unknown>((resolve, reject) => {
            worker.once("message", resolve);
            worker.once("error", reject);
          }),
      ),
    );
  await next();
  for (const worker of workers) worker.postMessage("go", []);
  const rates = await next();
  return rates.reduce<number>((sum, rate) => sum + Number(rate), 0);
}

if (isMainThread) {
  const rate = await measure(JSON.parse(process.argv[2] ?? "") as BareOptions);
  process.stdout.write(`${rate}\n`);
} else {
  parentPort?.postMessage(await loop(workerData as BareOptions), []);
  parentPort?.close();
}
