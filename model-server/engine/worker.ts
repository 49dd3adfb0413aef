import { parentPort, workerData } from "node:worker_threads";

import { discard } from "../discard.ts";
import { messageOf } from "../errors.ts";
import type { Tensors } from "../tensor/tensor.ts";
import type { FromWorker, SessionOptions, ToWorker } from "./messages.ts";
import { openSession, type Session } from "./session.ts";

/** One session in a thread of its own, since a run blocks its thread. */

function send(message: FromWorker, transfer: readonly ArrayBuffer[] = []): void {
  parentPort?.postMessage(message, transfer);
}

function serve(session: Session): void {
  let inFlight = Promise.resolve();
  parentPort?.on("message", (message: ToWorker) => {
    if (message.kind === "end") {
      // What runs is still answered.
      void inFlight.then(() => parentPort?.close());
      return;
    }
    const { id } = message;
    inFlight = session
      .run(message.inputs, message.outputs)
      .then(
        (result) => send({ kind: "result", id, ...result }, buffersOf(result.outputs)),
        (error: unknown) => send({ kind: "failed", id, message: messageOf(error) }),
      )
      .then(() => {
        for (const { data } of message.inputs.values()) if (ArrayBuffer.isView(data)) discard(data);
      });
  });
  send({ kind: "ready", signature: session.signature });
}

function buffersOf(tensors: Tensors): ArrayBuffer[] {
  return [...tensors.values()].flatMap(({ data }) =>
    ArrayBuffer.isView(data) ? [data.buffer] : [],
  );
}

try {
  serve(await openSession(workerData as SessionOptions));
} catch (error) {
  send({ kind: "refused", message: messageOf(error) });
}
