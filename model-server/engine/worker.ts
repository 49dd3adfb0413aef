import { parentPort, workerData } from "node:worker_threads";

import { InferenceSession, Tensor as OrtTensor } from "onnxruntime-node";

import type { FromWorker, Port, Tensor, ToWorker } from "./tensor.ts";

/** One session in a thread of its own, since a run blocks its thread. */
const { modelFile, threads } = workerData as { modelFile: string; threads: number };

function send(message: FromWorker, transfer: readonly ArrayBuffer[] = []): void {
  parentPort?.postMessage(message, transfer);
}

const loaded = await InferenceSession.create(modelFile, {
  intraOpNumThreads: threads,
  interOpNumThreads: 1,
  executionMode: "sequential",
  logSeverityLevel: 4,
}).catch((error: unknown) => {
  send({ kind: "refused", message: error instanceof Error ? error.message : String(error) });
});

if (loaded !== undefined) {
  const session = loaded;
  const portsOf = (metadata: typeof session.inputMetadata): Port[] =>
    metadata.map((value) => ({
      name: value.name,
      type: value.isTensor ? value.type : "other",
      dims: value.isTensor
        ? value.shape.map((dim) => (typeof dim === "number" && dim >= 0 ? dim : undefined))
        : [],
    }));
  const outputName = session.outputNames[0] ?? "";

  const run = async (input: string, { data, dims }: Tensor): Promise<Tensor> => {
    const fed = { [input]: new OrtTensor("float32", data, dims) };
    const output = (await session.run(fed, [outputName]))[outputName];
    if (output === undefined || output.type !== "float32")
      throw new Error(`the output ${outputName} is ${output?.type ?? "missing"}, not float32`);
    // A copy of its own memory can be handed over; the runtime's own cannot.
    return { dims: [...output.dims], data: Float32Array.from(output.data as Float32Array) };
  };

  let underWay = Promise.resolve();
  parentPort?.on("message", (message: ToWorker) => {
    if (message.kind === "end") {
      // What runs is still answered.
      void underWay.then(() => parentPort?.close());
      return;
    }
    const { id } = message;
    underWay = run(message.input, message.tensor).then(
      (output) => send({ kind: "result", id, output }, [output.data.buffer]),
      (error: unknown) =>
        send({
          kind: "failed",
          id,
          message: error instanceof Error ? error.message : String(error),
        }),
    );
  });
  send({
    kind: "ready",
    signature: { inputs: portsOf(session.inputMetadata), outputs: portsOf(session.outputMetadata) },
  });
}
