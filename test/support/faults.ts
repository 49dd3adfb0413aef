import type { IncomingMessage, ServerResponse } from "node:http";

import { z } from "zod";

/** Faults to inject into a service of the tests, and the requests that it received. */
export const Fault = z.object({
  service: z.enum(["acr", "blob", "entra"]),
  method: z.string().optional(),
  /** A regular expression over path and query. */
  path: z.string().default(""),
  /** How many requests the fault affects; default: all. */
  times: z.number().int().positive().optional(),
  action: z.discriminatedUnion("kind", [
    z.object({
      kind: z.literal("status"),
      status: z.number().int(),
      headers: z.record(z.string(), z.string()).default({}),
      body: z.string().default(""),
    }),
    /** Resets the connection: at once, or after a number of bytes of the real response body. */
    z.object({ kind: z.literal("cut"), afterBytes: z.number().int().min(0).default(0) }),
    /** Stalls after a number of bytes of the real response body, with the connection open. */
    z.object({ kind: z.literal("stall"), afterBytes: z.number().int().min(0).default(0) }),
    /** The real response, with the first byte of each chunk inverted. */
    z.object({ kind: z.literal("corrupt") }),
  ]),
});
export type Fault = z.infer<typeof Fault>;
export type FaultInput = z.input<typeof Fault>;

export interface Recorded {
  readonly service: Fault["service"];
  readonly method: string;
  readonly path: string;
  readonly status: number;
  readonly conditional: boolean;
  /** The `Range` header, if there is one: `bytes=0-99`. */
  readonly range?: string;
}

export interface Faults {
  /** Later faults take precedence. */
  readonly add: (fault: FaultInput) => void;
  readonly clear: () => void;
  readonly take: (
    service: Fault["service"],
    method: string,
    path: string,
  ) => Fault["action"] | undefined;
  /** How many requests faults have affected. */
  readonly hits: () => number;
  readonly record: (request: Recorded) => void;
  /** The latest requests, oldest first; bounded. */
  readonly requests: () => readonly Recorded[];
  readonly forget: () => void;
}

const MAX_RECORDED = 20_000;

export function createFaults(): Faults {
  let faults: { fault: Fault; left: number }[] = [];
  let requests: Recorded[] = [];
  let hits = 0;
  return {
    add: (input) => {
      const fault = Fault.parse(input);
      faults.unshift({ fault, left: fault.times ?? Number.POSITIVE_INFINITY });
    },
    clear: () => {
      faults = [];
    },
    take: (service, method, path) => {
      const found = faults.find(
        ({ fault, left }) =>
          left > 0 &&
          fault.service === service &&
          (fault.method === undefined || fault.method === method) &&
          new RegExp(fault.path).test(path),
      );
      if (found === undefined) return undefined;
      found.left -= 1;
      hits += 1;
      return found.fault.action;
    },
    hits: () => hits,
    record: (request) => {
      requests.push(request);
      if (requests.length > MAX_RECORDED) requests = requests.slice(-MAX_RECORDED / 2);
    },
    requests: () => requests,
    forget: () => {
      requests = [];
    },
  };
}

/** Handles a request by a fault that needs no real response. @returns whether it did */
export function misbehave(
  action: Fault["action"] | undefined,
  request: IncomingMessage,
  response: ServerResponse,
): boolean {
  if (action?.kind === "status") {
    request.resume();
    response.writeHead(action.status, action.headers).end(action.body);
    return true;
  }
  if (action?.kind === "cut" && action.afterBytes === 0) {
    request.socket.destroy();
    return true;
  }
  return action?.kind === "stall" && action.afterBytes === 0;
}

/** Forwards the body of a real response, changed by the fault. */
export function spoil(
  action: Fault["action"] | undefined,
  answer: IncomingMessage,
  response: ServerResponse,
): void {
  if (action?.kind === "corrupt") {
    answer.on("data", (chunk: Buffer) => {
      const turned = Buffer.from(chunk);
      turned[0] = 0xff ^ (turned[0] ?? 0);
      response.write(turned);
    });
    answer.on("end", () => response.end());
    return;
  }
  if (action?.kind !== "cut" && action?.kind !== "stall") {
    answer.pipe(response);
    return;
  }
  let left = action.afterBytes;
  answer.on("data", (chunk: Buffer) => {
    if (left <= 0) return;
    response.write(chunk.subarray(0, left));
    left -= chunk.length;
    if (left > 0) return;
    answer.pause();
    // Let what was written go out first.
    if (action.kind === "cut") setTimeout(() => response.socket?.destroy(), 20);
  });
  answer.on("end", () => {
    if (left > 0) response.end();
  });
}
