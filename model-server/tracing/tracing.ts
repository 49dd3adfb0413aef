import type { ErrorCode } from "../errors.ts";
import type { OnStage } from "../stages.ts";

/** The port to traces: what HTTP and gRPC know of them. */
export interface Tracing {
  /** Begins the server span of a request, below the caller's span where the headers name one (W3C Trace Context). */
  readonly begin: (request: TracedRequest) => RequestTrace;
  /** Sends what has not been sent yet; resolves after a few seconds also where that fails. */
  readonly close: () => Promise<void>;
}

export type Attributes = Readonly<Record<string, string | number>>;

export interface TracedRequest {
  readonly name: string;
  /** By `performance.now`. */
  readonly began: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly attributes: Attributes;
}

/** The spans of one request. */
export interface RequestTrace {
  /** Adds a child span. */
  readonly addStage: OnStage;
  readonly fail: (code: ErrorCode) => void;
  readonly end: (attributes: Attributes) => void;
}
