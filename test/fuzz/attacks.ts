import * as fc from "fast-check";

import { picturesOf, sendFuzz } from "../../model-server/fuzz-client.testing.ts";
import { faultOf } from "../../model-server/fuzz-answers.testing.ts";
import type { FuzzTarget } from "../../model-server/fuzz-targets.testing.ts";
import { requestsTo, type FuzzRequest } from "../../model-server/fuzz.testing.ts";
import {
  callFaultOf,
  fuzzCalls,
  openFuzzSession,
  type FuzzCall,
} from "../../model-server/grpc/fuzz.testing.ts";

/** What is sent to a server, and what is wrong with its answers. */
export interface Attack {
  readonly target: FuzzTarget;
  readonly open: (ports: { readonly http: number; readonly grpc: number }) => Promise<Sender>;
}

export interface Sender {
  /** The same seed makes the same requests. */
  readonly sample: (count: number, seed: number) => readonly Sent[];
  readonly close: () => Promise<void>;
}

/** A request, still to be sent. */
export type Sent = () => Promise<Outcome>;

export interface Outcome {
  /** Of the answer. */
  readonly status: string;
  /** Undefined where nothing is wrong. */
  readonly fault: string | undefined;
}

/** The malformed requests of REST, with the binary extension, and of gRPC. */
export const attacks: Readonly<Record<string, Attack>> = {
  images: { target: "images", open: async ({ http }) => restSender("images", http) },
  tensors: { target: "tensors", open: async ({ http }) => restSender("tensors", http) },
  integers: { target: "integers", open: async ({ http }) => restSender("integers", http) },
  grpc: { target: "tensors", open: async ({ grpc }) => grpcSender(grpc) },
};

async function restSender(target: FuzzTarget, port: number): Promise<Sender> {
  const arbitrary = requestsTo(target, await picturesOf());
  const send = (request: FuzzRequest) => async (): Promise<Outcome> => {
    try {
      const answer = await sendFuzz(port, request);
      const fault = faultOf(answer, request.path + request.body.toString());
      return { status: String(answer.status), fault: withRequest(fault, request) };
    } catch (error) {
      return { status: "none", fault: withRequest(String(error), request) };
    }
  };
  return {
    sample: (numRuns, seed) => fc.sample(arbitrary, { numRuns, seed }).map(send),
    close: async () => {},
  };
}

async function grpcSender(port: number): Promise<Sender> {
  const session = openFuzzSession(port);
  const send = (call: FuzzCall) => async (): Promise<Outcome> => {
    try {
      const answer = await session.send(call);
      const status = answer.code === undefined ? `HTTP ${answer.http}` : String(answer.code);
      return { status, fault: withRequest(callFaultOf(answer), call) };
    } catch (error) {
      return { status: "none", fault: withRequest(String(error), call) };
    }
  };
  return {
    sample: (numRuns, seed) => fc.sample(fuzzCalls, { numRuns, seed }).map(send),
    close: session.close,
  };
}

function withRequest(
  fault: string | undefined,
  { body, ...request }: { readonly body: Buffer },
): string | undefined {
  if (fault === undefined) return undefined;
  const base64 = body.toString("base64").slice(0, 4000);
  return `${fault}: ${JSON.stringify({ ...request, base64 })}`;
}
