import type { Admission } from "../admission.ts";
import type { Budget } from "../budget.ts";
import type { Config } from "../config.ts";
import type { Drain } from "../drain.ts";
import type { Health } from "../health.ts";
import type { Model } from "../inference/model.ts";
import type { Keys } from "../keys.ts";
import type { Logger } from "../log.ts";
import type { Metrics } from "../metrics.ts";
import type { Recorder } from "../recorder/recorder.ts";
import type { Tracing } from "../tracing/tracing.ts";
import type { Connections } from "./connections.ts";

/** What routes need of the server. */
export interface RouteParts {
  readonly config: Config;
  readonly drain: Drain;
  readonly connections: Connections;
  readonly budget: Budget;
  readonly keys: Keys;
  readonly admission: Admission;
  readonly metrics: Metrics;
  readonly log: Logger;
  /** Undefined until the model is loaded and has answered its samples. */
  readonly model: () => Model | undefined;
  readonly health: () => Health;
  /** Undefined where no request is kept. */
  readonly recorder?: Recorder | undefined;
  /** Undefined where traces are off. */
  readonly tracing?: Tracing | undefined;
  readonly versions: Readonly<Record<string, string>>;
}

/** Of a path that names a model. */
export interface ModelParams {
  readonly Params: { readonly name?: string; readonly version?: string };
}

declare module "fastify" {
  interface FastifyContextConfig {
    /** Failures count as failed inferences. */
    readonly scores?: boolean;
    /** Needs no API key, as probes need none. */
    readonly isOpen?: boolean;
    /** The drain does not wait for probes to stop. */
    readonly isProbe?: boolean;
  }
}
