/** Every error that the server throws, with the HTTP status that it answers with (500: it ends the start). */
export const errors = {
  CONFIG_INVALID: { status: 500, summary: "an environment variable is wrong" },
  LISTEN_FAILED: { status: 500, summary: "the server cannot listen on its address" },
  BUNDLE_UNREADABLE: { status: 500, summary: "a file of the bundle is missing or cannot be read" },
  BUNDLE_CHECKSUM: { status: 500, summary: "a file of the bundle differs from its manifest" },
  BUNDLE_INVALID: { status: 500, summary: "a file of the bundle says what cannot be" },
  MODEL_LOAD_FAILED: { status: 500, summary: "the runtime refuses the model" },
  SAMPLE_MISMATCH: { status: 500, summary: "the model answers a sample of the bundle otherwise" },
  REQUEST_INVALID: { status: 400, summary: "the request cannot be understood" },
  IMAGE_INVALID: { status: 400, summary: "the picture cannot be read" },
  UNSUPPORTED_TYPE: { status: 415, summary: "the body's content type is not one that is scored" },
  OVERLOADED: { status: 503, summary: "too many requests wait already" },
  TIMED_OUT: { status: 503, summary: "the request waited too long" },
  WORKER_LOST: { status: 503, summary: "the thread that worked on the request has died" },
} as const;
export type ErrorCode = keyof typeof errors;

export class ServerError extends Error {
  override readonly name = "ServerError";
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }

  get status(): number {
    return errors[this.code].status;
  }
}
