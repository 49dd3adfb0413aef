import { status, type ServerDuplexStream, type ServerUnaryCall } from "@grpc/grpc-js";

import { errors, ServerError } from "../errors.ts";
import { inferRequested } from "../inference/requested.ts";
import { checkModel } from "../protocol/model-name.ts";
import { createStages, type Stages } from "../stages.ts";
import {
  accessLogOf,
  answerMetadata,
  checkKey,
  checkMessage,
  nameOfStatus,
  requestIdOfCall,
  signalOfCall,
  statusOf,
  type GrpcParts,
} from "./call.ts";
import type { InferAnswerMessage, InferMessage } from "./messages.ts";
import { encodeAnswerMessage, readInferMessage } from "./tensors.ts";
import { traceCall } from "./trace.ts";

/** Runs one request, and counts it. @throws what `POST …/infer` throws */
export async function inferMessage(
  parts: GrpcParts,
  message: InferMessage,
  call: ServerUnaryCall<InferMessage, unknown> | ServerDuplexStream<InferMessage, unknown>,
  id: string,
): Promise<InferAnswerMessage> {
  const { config, metrics, drain } = parts;
  const began = performance.now();
  const leave = drain.enter();
  const { signal, done } = signalOfCall(call, config.requestTimeoutMs);
  const trace = parts.tracing && traceCall(parts.tracing, call, id, began);
  let answered: number = status.OK;
  try {
    return await inferCounted(parts, message, signal, began, createStages(trace?.addStage));
  } catch (error) {
    const code = error instanceof ServerError ? error.code : "INTERNAL";
    metrics.addFailure(code, performance.now() - began);
    trace?.fail(code);
    answered = errors[code].grpc;
    throw error;
  } finally {
    trace?.end({ "rpc.status_code": nameOfStatus(answered) });
    done();
    leave();
  }
}

async function inferCounted(
  { config, metrics, budget, admission, ...parts }: GrpcParts,
  message: InferMessage,
  signal: AbortSignal,
  began: number,
  stages: Stages,
): Promise<InferAnswerMessage> {
  checkMessage(message);
  const { model_name: name, model_version: version } = message;
  checkModel(config.model, { name, version });
  const model = parts.model();
  if (model === undefined)
    throw new ServerError("NOT_READY", "the model is being loaded: try again soon");
  const bytes = message.raw_input_contents.reduce((sum, { length }) => sum + length, 0);
  if (!budget.take(bytes))
    throw new ServerError(
      "OVERLOADED",
      "the requests in flight are too large in all: try again in a moment",
    );
  try {
    const { outputs, rows } = await admission.admit(async () => {
      const request = readInferMessage(message);
      stages.add({ kind: "decode", began, ended: performance.now() });
      return inferRequested(model, request, signal, stages.add);
    });
    const inferred = performance.now();
    const head = { model: config.model.name, version: config.model.version, id: message.id };
    const answer = encodeAnswerMessage(head, outputs);
    const ended = performance.now();
    stages.add({ kind: "encode", began: inferred, ended });
    metrics.addRequest({ rows, total: ended - began, ...stages.sums() });
    return answer;
  } finally {
    budget.give(bytes);
  }
}

export interface StreamAnswer {
  readonly error_message: string;
  /** Of an error: only the request's id, as Triton's clients expect to learn which of their requests failed. */
  readonly infer_response: InferAnswerMessage | Pick<InferAnswerMessage, "id">;
}

/** Empty where the message is none. */
function idOf({ id }: Partial<InferMessage>): string {
  return id ?? "";
}

/** Requests on a stream are answered one after another; one that fails does not end the stream. */
export function inferStream(
  parts: GrpcParts,
  call: ServerDuplexStream<InferMessage, StreamAnswer>,
): void {
  const id = requestIdOfCall(call);
  try {
    checkKey(parts.keys, call.metadata);
  } catch (error) {
    call.emit("error", statusOf(error, parts, id));
    return;
  }
  call.sendMetadata(answerMetadata(parts.config, id));
  let isBusy = false;
  let hasEnded = false;
  const answer = async (message: InferMessage): Promise<void> => {
    const logAnswer = accessLogOf(parts, call.getPath(), id);
    try {
      const response = await inferMessage(parts, message, call, id);
      call.write({ error_message: "", infer_response: response });
      logAnswer(status.OK);
    } catch (error) {
      const { code, details = "" } = statusOf(error, parts, id);
      logAnswer(code);
      call.write({ error_message: details, infer_response: { id: idOf(message) } });
    }
    isBusy = false;
    if (hasEnded) call.end();
    else call.resume();
  };
  call.on("data", (message: InferMessage) => {
    isBusy = true;
    call.pause();
    void answer(message);
  });
  call.on("end", () => {
    hasEnded = true;
    if (!isBusy) call.end();
  });
  // The client has gone: no one is left to answer.
  call.on("error", () => {});
}
