import { Worker } from "node:worker_threads";

import type { Preprocessing } from "../bundle/preprocessing.ts";
import { ServerError, type ErrorCode } from "../errors.ts";
import { ImageError, type ImagePlace } from "./image-error.ts";

/** What the main thread and a decoding thread send to each other. */
export interface ToDecoder {
  readonly images: readonly Uint8Array[];
  readonly preprocessing: Preprocessing;
}

export type FromDecoder =
  | { readonly kind: "decoded"; readonly tensor: Float32Array<ArrayBuffer> }
  /** One of its images is none: its place is that in the job. */
  | { readonly kind: "refused"; readonly why: string; readonly place: ImagePlace | undefined }
  | { readonly kind: "failed"; readonly code: ErrorCode; readonly message: string };

/** Threads that decode one image each at a time, one group of images after another. They start with the first images; one that died is replaced at the next image. */
export interface Threads {
  /** One call at once is one thread: the caller bounds them. @throws IMAGE_INVALID, WORKER_LOST, OVERLOADED */
  readonly decode: (job: ToDecoder) => Promise<Float32Array<ArrayBuffer>>;
  /** Ends them once they are done. */
  readonly close: () => Promise<void>;
}

interface Thread {
  readonly worker: Worker;
  readonly ended: Promise<void>;
  job: PromiseWithResolvers<Float32Array<ArrayBuffer>> | undefined;
}

export function createThreads(): Threads {
  const threads = new Set<Thread>();
  let closing = false;

  function start(): Thread {
    const worker = new Worker(new URL("worker.ts", import.meta.url));
    const ended = Promise.withResolvers<void>();
    const thread: Thread = { worker, ended: ended.promise, job: undefined };
    worker.on("message", (message: FromDecoder) => {
      const { job } = thread;
      thread.job = undefined;
      if (message.kind === "decoded") job?.resolve(message.tensor);
      else job?.reject(errorOf(message));
    });
    // An exit follows.
    worker.on("error", () => {});
    worker.on("exit", () => {
      threads.delete(thread);
      thread.job?.reject(
        new ServerError("WORKER_LOST", "the thread that decoded this image died: try again"),
      );
      ended.resolve();
    });
    threads.add(thread);
    return thread;
  }

  return {
    decode: async ({ images, preprocessing }) => {
      if (closing) throw new ServerError("OVERLOADED", "the server is stopping");
      const thread = threads.values().find(({ job }) => job === undefined) ?? start();
      const job = Promise.withResolvers<Float32Array<ArrayBuffer>>();
      thread.job = job;
      // Copies of their own: others may share the memory of what is handed over.
      const copies = images.map((image) => Uint8Array.from(image));
      const message: ToDecoder = { images: copies, preprocessing };
      thread.worker.postMessage(
        message,
        copies.map(({ buffer }) => buffer),
      );
      return job.promise;
    },
    close: async () => {
      closing = true;
      for (const { worker } of threads) worker.postMessage("end", []);
      await Promise.all([...threads].map(({ ended }) => ended));
    },
  };
}

function errorOf(refusal: Exclude<FromDecoder, { readonly kind: "decoded" }>): ServerError {
  if (refusal.kind === "refused") return new ImageError(refusal.why, refusal.place);
  const { code, message } = refusal;
  // What a fault says is for the log, not for the client.
  return code === "INTERNAL"
    ? new ServerError(code, "a fault inside the server: see its log", { cause: new Error(message) })
    : new ServerError(code, message);
}
