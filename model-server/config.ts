import { availableParallelism } from "node:os";
import { readFileSync } from "node:fs";

import { z } from "zod";

import { ServerError } from "./errors.ts";

/** The server's configuration: environment variables. The operator sets the first seven. */
const count = (minimum: number, maximum: number) =>
  z.coerce.number().int().min(minimum).max(maximum);

const Environment = z
  .object({
    MODEL_DIR: z.string().min(1).default("/models"),
    MODEL_NAME: z.string().default("model"),
    MODEL_VERSION: z.string().default(""),
    MODEL_DIGEST: z.string().default(""),
    AIAPP_RELEASE: z.string().default(""),
    PORT: count(0, 65_535).default(8080),
    METRICS_PORT: count(0, 65_535).default(9090),
    HOST: z.string().default("::"),
    /** Sessions, each in a thread of its own; one per core unless said. */
    WORKERS: count(1, 256).optional(),
    MAX_BODY_BYTES: count(1024, 2 ** 31).default(64 * 1024 * 1024),
    /** Requests that may wait for a worker; more are refused with 503. */
    MAX_QUEUE: count(1, 100_000).default(256),
    REQUEST_TIMEOUT_SECONDS: count(1, 3600).default(30),
    /** After SIGTERM: how long it must have been quiet before we go, and how long at most we stay. */
    DRAIN_QUIET_SECONDS: count(0, 600).default(5),
    DRAIN_MAX_SECONDS: count(0, 3600).default(50),
    LOG_LEVEL: z.enum(["debug", "info", "warn", "error"]).default("info"),
    /** Set in an image to tell two builds of the same code apart. */
    SERVER_BUILD: z.string().default(""),
  })
  // 0 is any free port, another one each time.
  .refine(({ PORT, METRICS_PORT }) => PORT === 0 || PORT !== METRICS_PORT, {
    path: ["METRICS_PORT"],
    message: "is the same as PORT: metrics need a port of their own",
  });

export interface Config {
  readonly model: {
    readonly folder: string;
    readonly name: string;
    readonly version: string;
    readonly digest: string;
  };
  readonly release: string;
  readonly build: string;
  readonly host: string;
  readonly port: number;
  readonly metricsPort: number;
  readonly workers: number;
  readonly maxBodyBytes: number;
  readonly maxQueue: number;
  readonly requestTimeoutMs: number;
  readonly drainQuietMs: number;
  readonly drainMaxMs: number;
  readonly logLevel: string;
}

/** @throws CONFIG_INVALID naming each variable that is wrong */
export function readConfig(environment: NodeJS.ProcessEnv): Config {
  const parsed = Environment.safeParse(environment);
  if (!parsed.success) throw new ServerError("CONFIG_INVALID", z.prettifyError(parsed.error));
  const { data } = parsed;
  return {
    model: {
      folder: data.MODEL_DIR,
      name: data.MODEL_NAME,
      version: data.MODEL_VERSION,
      digest: data.MODEL_DIGEST,
    },
    release: data.AIAPP_RELEASE,
    build: data.SERVER_BUILD,
    host: data.HOST,
    port: data.PORT,
    metricsPort: data.METRICS_PORT,
    workers: data.WORKERS ?? cores(),
    maxBodyBytes: data.MAX_BODY_BYTES,
    maxQueue: data.MAX_QUEUE,
    requestTimeoutMs: data.REQUEST_TIMEOUT_SECONDS * 1000,
    drainQuietMs: data.DRAIN_QUIET_SECONDS * 1000,
    drainMaxMs: data.DRAIN_MAX_SECONDS * 1000,
    logLevel: data.LOG_LEVEL,
  };
}

function readOrNothing(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

/** The cores that the container may use: Node.js sees the machine's, not the container's quota (cgroups v2 and v1). */
export function cores(): number {
  const [quota = "", period = ""] = readOrNothing("/sys/fs/cgroup/cpu.max").trim().split(" ");
  const older = [
    readOrNothing("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"),
    readOrNothing("/sys/fs/cgroup/cpu/cpu.cfs_period_us"),
  ].map(Number);
  const limit = quota === "" ? (older[0] ?? 0) / (older[1] ?? 1) : Number(quota) / Number(period);
  const machine = availableParallelism();
  return limit > 0 ? Math.max(1, Math.min(machine, Math.ceil(limit))) : machine;
}
