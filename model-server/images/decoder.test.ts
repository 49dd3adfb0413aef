import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Worker } from "node:worker_threads";

import sharp from "sharp";
import { afterAll, expect, onTestFinished, test } from "vitest";

import { Preprocessing } from "../bundle/preprocessing.ts";
import { createDecoder, type Decoder, type MeasuredImage } from "./decoder.ts";
import { imageInto } from "./image.ts";

const how = Preprocessing.parse({ width: 6, height: 5, layout: "NHWC" });
const SIZE = 6 * 5 * 3;
const never = new AbortController().signal;

const threads = new Set<Worker>();
function seen(worker: Worker): void {
  threads.add(worker);
  worker.once("exit", () => threads.delete(worker));
}
process.on("worker", seen);
afterAll(() => process.off("worker", seen));

async function image(name: string): Promise<Buffer> {
  return readFile(join(import.meta.dirname, "fixtures", name));
}

async function tensorOf(bytes: Uint8Array): Promise<Float32Array> {
  const into = new Float32Array(SIZE);
  await imageInto(bytes, how, into);
  return into;
}

/** As if they were large: each gets a turn of its own. */
function measured(images: readonly Uint8Array[]): readonly MeasuredImage[] {
  const count = images.length;
  return images.map((bytes, index) => ({ bytes, pixels: Infinity, place: { index, count } }));
}

function start(concurrency: number): Decoder {
  const decoder = createDecoder({ concurrency, maxWaiting: 100 });
  onTestFinished(decoder.close);
  return decoder;
}

async function refusal(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => "decoded",
    (error: unknown) => error,
  );
}

test("images become one tensor in their order, in no more threads than there may be", async () => {
  const images = await Promise.all(["wide.png", "tall.png", "wide.jpg", "wide.webp"].map(image));
  const decoder = start(2);
  const expected = await Promise.all(images.map(tensorOf));
  const data = await decoder.decode(measured(images), how, never);
  expect(data).toEqual(Float32Array.from(expected.flatMap((one) => [...one])));
  expect(threads.size).toBe(2);
});

test("small images share turns, and still come out in their order", async () => {
  const names = ["wide.png", "tall.png", "wide.jpg"];
  const images = await Promise.all(
    Array.from({ length: 50 }, (_, at) => image(names[at % 3] ?? "")),
  );
  const decoder = start(2);
  const expected = await Promise.all(images.map(tensorOf));
  const small = await decoder.measure(images, never);
  expect(small.map(({ pixels }) => pixels).slice(0, 3)).toEqual([61 * 47, 46 * 75, 61 * 47]);
  const data = await decoder.decode(small, how, never);
  expect(data).toEqual(Float32Array.from(expected.flatMap((one) => [...one])));
});

test("a thread that starts does not change which formats the process reads, not even for a moment", async () => {
  // A format beside those of the server shows whether a thread blocks all and allows its own again.
  const gif = { operation: ["VipsForeignLoadNsgifBuffer"] };
  const bytes = await sharp({ create: { width: 2, height: 2, channels: 3, background: "red" } })
    .gif()
    .toBuffer();
  await expect(sharp(bytes).metadata()).rejects.toThrow("unsupported image format");
  sharp.unblock(gif);
  onTestFinished(() => sharp.block(gif));
  await start(1).decode(measured([await image("wide.jpg")]), how, never);
  expect(await sharp(bytes).metadata()).toMatchObject({ width: 2 });
});

test("one that cannot be decoded fails its request alone, with the error of an image", async () => {
  const decoder = start(1);
  const wide = await image("wide.png");
  const bad = decoder.decode(measured([wide, wide.subarray(0, 500)]), how, never);
  const good = decoder.decode(measured([wide]), how, never);
  expect(await refusal(bad)).toMatchObject({ code: "IMAGE_INVALID", status: 400 });
  expect(await good).toEqual(await tensorOf(wide));
});

test("a thread that dies fails the request that it decoded, and another takes its place", async () => {
  const decoder = start(1);
  const wide = await image("wide.png");
  await decoder.decode(measured([wide]), how, never);
  const [thread] = threads;
  // It ends before it reads what comes next.
  thread?.postMessage("end", []);
  const lost = decoder.decode(measured([wide]), how, never);
  expect(await refusal(lost)).toMatchObject({ code: "WORKER_LOST", status: 503 });
  expect(await decoder.decode(measured([wide]), how, never)).toEqual(await tensorOf(wide));
});

test("closing answers what is decoded, ends all threads, and takes nothing more", async () => {
  const decoder = createDecoder({ concurrency: 2, maxWaiting: 100 });
  await decoder.load();
  const wide = await image("wide.png");
  const last = decoder.decode(measured([wide]), how, never);
  // Its turn comes in a microtask.
  await Promise.resolve();
  const closed = decoder.close();
  expect(await refusal(last)).toBe("decoded");
  await closed;
  expect(threads.size).toBe(0);
  expect(await refusal(decoder.decode(measured([wide]), how, never))).toMatchObject({
    code: "OVERLOADED",
  });
});
