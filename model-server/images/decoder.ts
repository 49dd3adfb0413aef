import type { Preprocessing } from "../bundle/preprocessing.ts";
import { ServerError } from "../errors.ts";
import { elementsOf } from "../tensor/tensor.ts";
import { shapeOf, sizeOf } from "./image.ts";
import { createThreads } from "./threads.ts";
import { createTurnstile } from "./turnstile.ts";

/** Decodes images off the main thread: so many at a time, the others wait in one bounded queue. */
export interface Decoder {
  /** Reads the images' headers. @throws IMAGE_INVALID when they have too many pixels in all, or one is none */
  readonly check: (images: readonly Uint8Array[], signal: AbortSignal) => Promise<void>;
  /**
   * The tensor of these images.
   * @throws IMAGE_INVALID, OVERLOADED when too much waits, the signal's reason
   */
  readonly decode: (
    images: readonly Uint8Array[],
    preprocessing: Preprocessing,
    signal: AbortSignal,
  ) => Promise<Float32Array<ArrayBuffer>>;
  /** Images that wait. */
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

export function createDecoder({ concurrency, maxWaiting }: DecoderOptions): Decoder {
  const turnstile = createTurnstile({ concurrency, maxWaiting });
  const threads = createThreads();

  /** A request has no more images in the queue than run at once, so that the next request's come between. */
  async function each(
    images: readonly Uint8Array[],
    task: (image: Uint8Array, index: number) => Promise<void>,
    signal: AbortSignal,
  ): Promise<void> {
    let next = 0;
    let failed = false;
    async function work(): Promise<void> {
      for (let index = next++; index < images.length && !failed; index = next++) {
        const image = images[index];
        if (image === undefined) return;
        try {
          await turnstile.pass(() => task(image, index), signal, index > 0);
        } catch (error) {
          failed = true;
          throw error;
        }
      }
    }
    const workers = Math.min(concurrency, images.length);
    await Promise.all(Array.from({ length: workers }, work));
  }

  return {
    check: async (images, signal) => {
      let pixels = 0;
      const add = async (image: Uint8Array): Promise<void> => {
        const { width, height } = await sizeOf(image);
        pixels += width * height;
        if (pixels <= MAX_REQUEST_PIXELS) return;
        throw new ServerError(
          "IMAGE_INVALID",
          `the images have more than ${MAX_REQUEST_PIXELS / 1e6} megapixels in all: send fewer at once`,
        );
      };
      if (images.length > 1) await each(images, add, signal);
    },
    decode: async (images, preprocessing, signal) => {
      const size = elementsOf(shapeOf(preprocessing));
      const data = new Float32Array(size * images.length);
      await each(
        images,
        async (image, index) => {
          data.set(await threads.decode({ image, preprocessing }), index * size);
        },
        signal,
      );
      return data;
    },
    waiting: turnstile.waiting,
    close: threads.close,
  };
}
