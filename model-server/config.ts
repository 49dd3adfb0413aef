import { z } from "zod";

import type { Links } from "./bundle/files.ts";
import { cores } from "./cores.ts";
import type { BatchLimits } from "./engine/batcher.ts";
import { providers, type Provider } from "./engine/messages.ts";
import type { QueueLimits } from "./engine/queue.ts";
import { ServerError } from "./errors.ts";
import type { RecorderOptions } from "./recorder/recorder.ts";
import { tracingEnvironment, tracingOf, type TracingConfig } from "./tracing/config.ts";

/** The server's configuration: environment variables. The operator sets the first seven. */
const count = (minimum: number, maximum: number) =>
  z
    .string()
    // Number() takes an empty text for 0, which is any free port.
    .regex(/^\d+$/, `must be a whole number from ${minimum} to ${maximum}`)
    .transform(Number)
    .pipe(z.int().min(minimum).max(maximum));

/** What may be a header of an HTTP response (RFC 9110, field-content): a line feed would make every response fail. */
const headerText = z
  .string()
  .max(1024)
  .regex(/^(?:[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?)?$/, {
    message: "must be printable ASCII without spaces around it: it is sent as a header",
  });

/** Segments of a path that no URL keeps: clients resolve them. */
const DOTS: readonly string[] = [".", ".."];

/**
 * What the paths of the Open Inference Protocol can name: `/v2/models/<name>`. A client would get another answer than of
 * the model under these names, without an error.
 */
const ModelName = z
  .string()
  .refine((name) => name.isWellFormed(), {
    message: "is not valid Unicode, which no URL can have: set another MODEL_NAME",
  })
  .refine((name) => !DOTS.includes(name), {
    message: "is a name that clients resolve in URLs, as a folder: set another MODEL_NAME",
  })
  .refine((name) => name !== "stats", {
    message:
      "is taken: /v2/models/stats answers statistics, as Triton does. Set another MODEL_NAME; for an AIApp in spec.env",
  });

const Origin = z.string().refine((text) => text === "*" || URL.parse(text)?.origin === text, {
  message: "must be origins such as https://shop.example, separated by commas, or *",
});

function listOf(text: string): string[] {
  return text.split(",").flatMap((part) => (part.trim() === "" ? [] : [part.trim()]));
}

const Environment = z
  .object({
    MODEL_DIR: z.string().min(1).default("/models"),
    MODEL_NAME: ModelName.default("model"),
    MODEL_VERSION: headerText.default(""),
    MODEL_DIGEST: z.string().default(""),
    AIAPP_RELEASE: headerText.default(""),
    PORT: count(0, 65_535).default(8080),
    METRICS_PORT: count(0, 65_535).default(9090),
    /** Of the Open Inference Protocol over gRPC, whose libraries cost memory: only where it is set. */
    GRPC_PORT: count(0, 65_535).optional(),
    HOST: z.string().default("::"),
    /** Sessions, each in a thread of its own; one per core unless said. */
    WORKERS: count(1, 256).optional(),
    MAX_BODY_BYTES: count(1024, 2 ** 31).default(64 * 1024 * 1024),
    /** Of all bodies that are in flight at once; the next one gets 503. */
    MAX_BODY_BYTES_IN_FLIGHT: count(1024, 2 ** 40).default(256 * 1024 * 1024),
    MAX_CONNECTIONS: count(1, 1_000_000).default(4096),
    /** Requests that may wait for a worker; the next one gets 503. Likewise their rows and bytes. */
    MAX_QUEUE: count(1, 100_000).default(256),
    MAX_QUEUE_ROWS: count(1, 10_000_000).default(65_536),
    MAX_QUEUE_BYTES: count(1024, 2 ** 40).default(256 * 1024 * 1024),
    /** How long a request may be expected to wait: beyond it the server rejects it at once. */
    MAX_WAIT_MS: count(1, 3_600_000).default(5000),
    /** The same once requests have waited for longer than that without a break. */
    OVERLOAD_WAIT_MS: count(1, 3_600_000).default(1000),
    /** Whether requests share a run; `auto`: where the model names its first dimension a batch. */
    BATCHING: z.enum(["auto", "on", "off"]).default("auto"),
    /** The most rows and bytes of input of one run. */
    MAX_BATCH_ROWS: count(1, 65_536).default(64),
    MAX_BATCH_BYTES: count(1024, 2 ** 32).default(16 * 1024 * 1024),
    /** The longest that a run may be expected to take to run on the main thread, where no worker has to be woken; 0: none. */
    MAIN_THREAD_MS: count(0, 100).default(1),
    EXECUTION_PROVIDER: z.enum(providers).default("cpu"),
    REQUEST_TIMEOUT_SECONDS: count(1, 3600).default(30),
    /** After SIGTERM: how long no request may have come before it ends, and the longest that it stays. */
    DRAIN_QUIET_SECONDS: count(0, 600).default(5),
    DRAIN_MAX_SECONDS: count(0, 3600).default(50),
    /** The page at `/ui`. */
    UI: z.enum(["on", "off"]).default("on"),
    /** A file of keys that may call; without it all may. */
    API_KEYS_FILE: z.string().min(1).optional(),
    /** Origins whose pages may call, or `*`. */
    CORS_ORIGINS: z.string().default("").transform(listOf).pipe(z.array(Origin).max(100)),
    /** How many requests are kept as samples, and where. */
    RECORD_SAMPLES: count(0, 10_000).default(0),
    RECORD_DIR: z.string().min(1).default("/tmp/recorded"),
    RECORD_MAX_BYTES: count(1024, 2 ** 40).default(64 * 1024 * 1024),
    RECORD_INTERVAL_SECONDS: count(0, 86_400).default(1),
    /** One line of log a request. */
    ACCESS_LOG: z.enum(["on", "off"]).default("off"),
    LOG_LEVEL: z.enum(["debug", "info", "warn", "error"]).default("info"),
    /** Set in an image to distinguish two builds of the same code apart. */
    SERVER_BUILD: z.string().default(""),
    ...tracingEnvironment,
  })
  // 0 is any free port, another one each time.
  .refine(({ PORT, METRICS_PORT }) => PORT === 0 || PORT !== METRICS_PORT, {
    path: ["METRICS_PORT"],
    message: "is the same as PORT: metrics need a port of their own",
  })
  .refine(
    ({ PORT, METRICS_PORT, GRPC_PORT }) =>
      GRPC_PORT === 0 || (GRPC_PORT !== PORT && GRPC_PORT !== METRICS_PORT),
    { path: ["GRPC_PORT"], message: "is the same as PORT or METRICS_PORT: gRPC needs its own" },
  );

export interface Config {
  readonly model: {
    readonly folder: string;
    /** Of the folder. */
    readonly links: Links;
    readonly name: string;
    readonly version: string;
    readonly digest: string;
  };
  readonly release: string;
  readonly build: string;
  readonly host: string;
  readonly port: number;
  readonly metricsPort: number;
  /** Undefined: no gRPC. */
  readonly grpcPort: number | undefined;
  readonly workers: number;
  readonly provider: Provider;
  readonly mainThreadMs: number;
  readonly maxBodyBytes: number;
  readonly maxBodyBytesInFlight: number;
  readonly maxConnections: number;
  readonly maxWaitMs: number;
  readonly overloadWaitMs: number;
  readonly queue: QueueLimits;
  readonly batching: "auto" | "on" | "off";
  readonly batch: BatchLimits;
  readonly requestTimeoutMs: number;
  readonly drainQuietMs: number;
  readonly drainMaxMs: number;
  /** Whether `/ui` and browsers at `/` get the page. */
  readonly hasPage: boolean;
  readonly apiKeysFile: string | undefined;
  /** Undefined: no request is kept. */
  readonly recording:
    | Pick<RecorderOptions, "folder" | "count" | "maxBytes" | "intervalMs">
    | undefined;
  readonly corsOrigins: readonly string[];
  readonly hasAccessLog: boolean;
  /** Undefined: no traces. */
  readonly tracing: TracingConfig | undefined;
  readonly logLevel: string;
}

/**
 * @param links of the bundle: whether they are followed
 * @throws CONFIG_INVALID naming each variable that is wrong
 */
export function readConfig(environment: NodeJS.ProcessEnv, links: Links = "refuse"): Config {
  const parsed = Environment.safeParse(environment);
  if (!parsed.success) throw new ServerError("CONFIG_INVALID", z.prettifyError(parsed.error));
  const { data } = parsed;
  return {
    model: {
      folder: data.MODEL_DIR,
      links,
      name: data.MODEL_NAME,
      version: data.MODEL_VERSION,
      digest: data.MODEL_DIGEST,
    },
    release: data.AIAPP_RELEASE,
    build: data.SERVER_BUILD,
    host: data.HOST,
    port: data.PORT,
    metricsPort: data.METRICS_PORT,
    grpcPort: data.GRPC_PORT,
    workers: data.WORKERS ?? cores(),
    provider: data.EXECUTION_PROVIDER,
    mainThreadMs: data.MAIN_THREAD_MS,
    maxBodyBytes: data.MAX_BODY_BYTES,
    maxBodyBytesInFlight: data.MAX_BODY_BYTES_IN_FLIGHT,
    maxConnections: data.MAX_CONNECTIONS,
    queue: {
      requests: data.MAX_QUEUE,
      rows: data.MAX_QUEUE_ROWS,
      bytes: data.MAX_QUEUE_BYTES,
    },
    maxWaitMs: data.MAX_WAIT_MS,
    overloadWaitMs: data.OVERLOAD_WAIT_MS,
    batching: data.BATCHING,
    batch: { rows: data.MAX_BATCH_ROWS, bytes: data.MAX_BATCH_BYTES },
    requestTimeoutMs: data.REQUEST_TIMEOUT_SECONDS * 1000,
    drainQuietMs: data.DRAIN_QUIET_SECONDS * 1000,
    drainMaxMs: data.DRAIN_MAX_SECONDS * 1000,
    hasPage: data.UI === "on",
    apiKeysFile: data.API_KEYS_FILE,
    recording:
      data.RECORD_SAMPLES === 0
        ? undefined
        : {
            folder: data.RECORD_DIR,
            count: data.RECORD_SAMPLES,
            maxBytes: data.RECORD_MAX_BYTES,
            intervalMs: data.RECORD_INTERVAL_SECONDS * 1000,
          },
    corsOrigins: data.CORS_ORIGINS,
    tracing: tracingOf(data),
    hasAccessLog: data.ACCESS_LOG === "on",
    logLevel: data.LOG_LEVEL,
  };
}
