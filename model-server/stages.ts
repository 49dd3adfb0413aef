/** A part of a request's time; `began` and `ended` are milliseconds of `performance.now`. */
export type Stage =
  | Span<"decode">
  | (Span<"images"> & { readonly images: number })
  | Span<"queue">
  | (Span<"run"> & RunOfRequest)
  | Span<"encode">;

interface Span<Kind> {
  /** `decode` reads the body, `images` decodes the images of one run, `run` includes the way to the worker and back. */
  readonly kind: Kind;
  readonly began: number;
  readonly ended: number;
}

/** The run of a request, which others may share. */
export interface RunOfRequest {
  /** Of all requests that share it. */
  readonly rows: number;
  readonly requests: number;
  /** Milliseconds in the runtime. */
  readonly computed: number;
}

export type OnStage = (stage: Stage) => void;

/** Milliseconds of all stages of a request, by what metrics call them. */
export interface StageSums {
  readonly input: number;
  readonly queue: number;
  /** In the runtime. */
  readonly compute: number;
  readonly output: number;
}

/** What a request's time went to so far. A request of many rows waits and runs several times. */
export interface Stages {
  readonly add: OnStage;
  readonly sums: () => StageSums;
}

/** @param onStage is called with each of them */
export function createStages(onStage?: OnStage): Stages {
  const sums = { input: 0, queue: 0, compute: 0, output: 0 };
  return {
    sums: () => sums,
    add: (stage) => {
      onStage?.(stage);
      const ms = stage.ended - stage.began;
      switch (stage.kind) {
        case "decode":
          sums.input += ms;
          break;
        case "queue":
          sums.queue += ms;
          break;
        case "run":
          sums.compute += stage.computed;
          break;
        case "encode":
          sums.output += ms;
          break;
        case "images":
          // The histogram of decoding has its own report.
          break;
      }
    },
  };
}
