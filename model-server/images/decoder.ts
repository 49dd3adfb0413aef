import type { Preprocessing } from "../bundle/preprocessing.ts";
import { ServerError } from "../errors.ts";
import { elementsOf } from "../tensor/tensor.ts";
import { ImageError, type ImagePlace } from "./image-error.ts";
import type * as ImageModule from "./image.ts";
import { shapeOf } from "./shape.ts";
import { createThreads } from "./threads.ts";
import { createTurnstile } from "./turnstile.ts";

/** An image, and how many pixels its header says: Infinity where nothing has read it. */
export interface MeasuredImage {
  readonly bytes: Uint8Array;
  readonly pixels: number;
  /** In its request. */
  readonly place: ImagePlace;
}

/** Decodes images off the main thread: so many at a time, the others wait in one bounded queue. */
export interface Decoder {
  /** Loads the libraries, which otherwise the first image does: models without images start sooner. */
  readonly load: () => Promise<void>;
  /** Reads the images' headers. @throws IMAGE_INVALID when they have too many pixels in all, or one is none */
  readonly measure: (
    images: readonly Uint8Array[],
    signal: AbortSignal,
  ) => Promise<readonly MeasuredImage[]>;
  /**
   * The tensor of these images.
   * @throws IMAGE_INVALID, OVERLOADED when too much waits, the signal's reason
   */
  readonly decode: (
    images: readonly MeasuredImage[],
    preprocessing: Preprocessing,
    signal: AbortSignal,
  ) => Promise<Float32Array<ArrayBuffer>>;
  /** Groups of images that wait. */
  readonly waiting: () => number;
  /** Ends its threads once they are done. */
  readonly close: () => Promise<void>;
}

export interface DecoderOptions {
  readonly concurrency: number;
  /** Images that may wait. */
  readonly maxWaiting: number;
}

/** Of all images of one request. */
const MAX_REQUEST_PIXELS = 400_000_000;
/** Small images share a turn: to hand one over takes as long as to decode it. */
const GROUP_IMAGES = 16;
const GROUP_PIXELS = 1_000_000;

export function createDecoder({ concurrency, maxWaiting }: DecoderOptions): Decoder {
  const turnstile = createTurnstile({ concurrency, maxWaiting });
  const threads = createThreads();
  let isLoaded = false;

  /** In the main thread also before any other decodes: it blocks formats for the whole process. */
  async function load(): Promise<typeof ImageModule> {
    const image = await import("./image.ts");
    isLoaded = true;
    return image;
  }

  /** A request has no more tasks in the queue than run at once, so that the next request's come between. */
  async function each<T>(
    items: readonly T[],
    task: (item: T) => Promise<void>,
    signal: AbortSignal,
  ): Promise<void> {
    let next = 0;
    let failed = false;
    async function work(): Promise<void> {
      for (let index = next++; index < items.length && !failed; index = next++) {
        const item = items[index];
        if (item === undefined) return;
        try {
          await turnstile.pass(() => task(item), signal, index > 0);
        } catch (error) {
          failed = true;
          throw error;
        }
      }
    }
    const workers = Math.min(concurrency, items.length);
    await Promise.all(Array.from({ length: workers }, work));
  }

  async function measure(
    images: readonly Uint8Array[],
    signal: AbortSignal,
  ): Promise<readonly MeasuredImage[]> {
    const pixels = images.map(() => Infinity);
    let sum = 0;
    const add = async (group: Group): Promise<void> => {
      const { sizeOf } = await load();
      for (let index = group.from; index < group.to; index += 1) {
        const { width, height } = await sizeOf(images[index] ?? new Uint8Array(0)).catch(
          (error: unknown) => {
            throw placed(error, { index, count: images.length });
          },
        );
        pixels[index] = width * height;
        sum += width * height;
        if (sum > MAX_REQUEST_PIXELS)
          throw new ServerError(
            "IMAGE_INVALID",
            `the images have more than ${MAX_REQUEST_PIXELS / 1e6} megapixels in all: send fewer at once`,
          );
      }
    };
    // One image is bounded by itself.
    const headers = images.map(() => ({ pixels: 0 }));
    if (images.length > 1) await each(groupsOf(headers), add, signal);
    return images.map((bytes, index) => ({
      bytes,
      pixels: pixels[index] ?? Infinity,
      place: { index, count: images.length },
    }));
  }

  return {
    load: async () => void (await load()),
    measure,
    decode: async (images, preprocessing, signal) => {
      if (!isLoaded) await load();
      const size = elementsOf(shapeOf(preprocessing));
      const data = new Float32Array(size * images.length);
      const decodeGroup = async ({ from, to }: Group): Promise<void> => {
        const some = images.slice(from, to).map(({ bytes }) => bytes);
        const job = threads.decode({ images: some, preprocessing });
        const tensor = await job.catch((error: unknown) => {
          const index = error instanceof ImageError ? (error.place?.index ?? 0) : 0;
          throw placed(error, images[from + index]?.place);
        });
        data.set(tensor, from * size);
      };
      await each(groupsOf(images), decodeGroup, signal);
      return data;
    },
    waiting: turnstile.waiting,
    close: threads.close,
  };
}

/** What is wrong with an image, of the image in its request. */
function placed(error: unknown, place: ImagePlace | undefined): unknown {
  return error instanceof ImageError && place !== undefined ? error.at(place) : error;
}

/** Images that share a turn: from one up to another. */
interface Group {
  readonly from: number;
  readonly to: number;
}

function groupsOf(images: readonly { readonly pixels: number }[]): readonly Group[] {
  const groups: Group[] = [];
  let from = 0;
  let sum = 0;
  for (const [index, { pixels }] of images.entries()) {
    const isFull = index - from === GROUP_IMAGES || sum + pixels > GROUP_PIXELS;
    if (isFull && index > from) {
      groups.push({ from, to: index });
      from = index;
      sum = 0;
    }
    sum += pixels;
  }
  if (images.length > from) groups.push({ from, to: images.length });
  return groups;
}
