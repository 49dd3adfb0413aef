import { parentPort } from "node:worker_threads";

import { messageOf, ServerError } from "../errors.ts";
import { elementsOf } from "../tensor/tensor.ts";
import { ImageError } from "./image-error.ts";
import { imageInto } from "./image.ts";
import { shapeOf } from "./shape.ts";
import type { FromDecoder, ToDecoder } from "./threads.ts";

/** Decodes images in a thread of its own, one after another: to resample a large one takes a second. */
async function decode({ images, preprocessing }: ToDecoder): Promise<Float32Array<ArrayBuffer>> {
  const size = elementsOf(shapeOf(preprocessing));
  const tensor = new Float32Array(size * images.length);
  for (const [index, image] of images.entries())
    try {
      await imageInto(image, preprocessing, tensor.subarray(index * size, (index + 1) * size));
    } catch (error) {
      throw error instanceof ImageError ? error.at({ index, count: images.length }) : error;
    }
  return tensor;
}

function send(message: FromDecoder, transfer: readonly ArrayBuffer[] = []): void {
  parentPort?.postMessage(message, transfer);
}

function fail(error: unknown): void {
  if (error instanceof ImageError) {
    send({ kind: "refused", why: error.why, place: error.place });
    return;
  }
  const code = error instanceof ServerError ? error.code : "INTERNAL";
  send({ kind: "failed", code, message: messageOf(error) });
}

let last = Promise.resolve();
parentPort?.on("message", (message: ToDecoder | "end") => {
  if (message === "end") {
    void last.then(() => parentPort?.close());
    return;
  }
  last = decode(message).then((tensor) => send({ kind: "decoded", tensor }, [tensor.buffer]), fail);
});
