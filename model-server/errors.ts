/** The codes of gRPC that the server answers with. */
const grpc = {
  cancelled: 1,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  resourceExhausted: 8,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  unauthenticated: 16,
} as const;

/** Every error that the server throws, with the status of its answer in HTTP and in gRPC. */
export const errors = {
  // These end the start.
  CONFIG_INVALID: { http: 500, grpc: grpc.internal, summary: "an environment variable is wrong" },
  LISTEN_FAILED: {
    http: 500,
    grpc: grpc.internal,
    summary: "the server cannot listen on an address",
  },
  BUNDLE_UNREADABLE: {
    http: 500,
    grpc: grpc.internal,
    summary: "a file of the bundle cannot be read",
  },
  BUNDLE_CHECKSUM: { http: 500, grpc: grpc.internal, summary: "a file differs from its manifest" },
  BUNDLE_INVALID: { http: 500, grpc: grpc.internal, summary: "a file of the bundle is not valid" },
  MODEL_LOAD_FAILED: { http: 500, grpc: grpc.internal, summary: "the runtime rejects the model" },
  SAMPLE_MISMATCH: { http: 500, grpc: grpc.internal, summary: "a sample's answer differs" },
  // These answer a request.
  REQUEST_INVALID: { http: 400, grpc: grpc.invalidArgument, summary: "the request is not valid" },
  IMAGE_INVALID: { http: 400, grpc: grpc.invalidArgument, summary: "the image cannot be decoded" },
  UNAUTHENTICATED: {
    http: 401,
    grpc: grpc.unauthenticated,
    summary: "the request has no valid API key",
  },
  NOT_FOUND: { http: 404, grpc: grpc.notFound, summary: "there is no such path, model or version" },
  METHOD_NOT_ALLOWED: {
    http: 405,
    grpc: grpc.unimplemented,
    summary: "the path has no such method",
  },
  TOO_SLOW: {
    http: 408,
    grpc: grpc.deadlineExceeded,
    summary: "the request did not arrive in time",
  },
  BODY_TOO_LARGE: { http: 413, grpc: grpc.resourceExhausted, summary: "the body is too large" },
  UNSUPPORTED_TYPE: {
    http: 415,
    grpc: grpc.invalidArgument,
    summary: "the content type is not supported",
  },
  EXPECTATION_FAILED: {
    http: 417,
    grpc: grpc.invalidArgument,
    summary: "the header Expect is not supported",
  },
  HEADERS_TOO_LARGE: {
    http: 431,
    grpc: grpc.resourceExhausted,
    summary: "the path and headers are too large",
  },
  CLIENT_GONE: { http: 499, grpc: grpc.cancelled, summary: "the client closed its connection" },
  INTERNAL: { http: 500, grpc: grpc.internal, summary: "a fault of the server" },
  UNSUPPORTED: { http: 400, grpc: grpc.unimplemented, summary: "the server does not do this" },
  OVERLOADED: { http: 503, grpc: grpc.unavailable, summary: "too many requests wait" },
  NOT_READY: { http: 503, grpc: grpc.unavailable, summary: "the model is being loaded" },
  TIMED_OUT: { http: 503, grpc: grpc.deadlineExceeded, summary: "the request waited too long" },
  WORKER_LOST: { http: 503, grpc: grpc.unavailable, summary: "the worker of the request died" },
  OUT_OF_MEMORY: {
    http: 503,
    grpc: grpc.resourceExhausted,
    summary: "the model ran out of memory",
  },
} as const;
export type ErrorCode = keyof typeof errors;

export class ServerError extends Error {
  override readonly name = "ServerError";
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }

  /** Of HTTP. */
  get status(): number {
    return errors[this.code].http;
  }
}

export function invalidRequest(message: string, options?: ErrorOptions): ServerError {
  return new ServerError("REQUEST_INVALID", message, options);
}

/** Of a file of the bundle, or of files that do not fit each other. */
export function invalidBundle(message: string, options?: ErrorOptions): ServerError {
  return new ServerError("BUNDLE_INVALID", message, options);
}

/** What a client or a file says, in a message: in quotes, without control characters, and no longer than so many. */
export function quoted(text: string, limit = 100): string {
  return JSON.stringify(text.slice(0, limit));
}

/** Of whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Why a request was cancelled: the signal's own reason where that is an error of the server. */
export function cancellationOf(signal: AbortSignal): ServerError {
  const reason: unknown = signal.reason;
  return reason instanceof ServerError
    ? reason
    : new ServerError("TIMED_OUT", "the request was not answered in time: try again");
}
