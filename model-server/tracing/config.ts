import { z } from "zod";

/** What traces are sent, and where; OpenTelemetry's own libraries read the other standard variables themselves. */
export interface TracingConfig {
  /** Of the service, where OTEL_SERVICE_NAME names it. */
  readonly serviceName: string | undefined;
  /** Where spans are sent. */
  readonly url: string;
  readonly sampler: Sampler;
  readonly batch: {
    readonly maxQueueSize: number;
    readonly maxExportBatchSize: number;
    readonly scheduledDelayMillis: number;
    readonly exportTimeoutMillis: number;
  };
}

export interface Sampler {
  /** Whether a caller that has decided is followed. */
  readonly followsParent: boolean;
  /** Of the other traces: from 0 to 1. */
  readonly ratio: number;
}

const samplers = [
  "always_on",
  "always_off",
  "traceidratio",
  "parentbased_always_on",
  "parentbased_always_off",
  "parentbased_traceidratio",
] as const;

/** The specification takes an empty variable for none. */
function optional<T extends z.ZodType>(schema: T) {
  return z.preprocess((text) => (text === "" ? undefined : text), schema.optional());
}

const Endpoint = optional(
  z.string().refine((text) => /^https?:$/.test(URL.parse(text)?.protocol ?? ""), {
    message: "must be a URL such as http://collector:4318",
  }),
);
const Protocol = optional(
  z.literal("http/protobuf", {
    message: "must be http/protobuf, which collectors take on port 4318: no other is supported",
  }),
);
const amount = (maximum: number) =>
  optional(
    z
      .string()
      .regex(/^\d+$/, `must be a whole number from 1 to ${maximum}`)
      .transform(Number)
      .pipe(z.int().min(1).max(maximum)),
  );

/** The standard variables (OpenTelemetry Environment Variable Specification) that the server reads itself. */
export const tracingEnvironment = {
  OTEL_SDK_DISABLED: z.string().optional(),
  OTEL_TRACES_EXPORTER: optional(
    z.enum(["otlp", "none"], { message: "must be otlp or none: no other is supported" }),
  ),
  OTEL_EXPORTER_OTLP_ENDPOINT: Endpoint,
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: Endpoint,
  OTEL_EXPORTER_OTLP_PROTOCOL: Protocol,
  OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: Protocol,
  OTEL_SERVICE_NAME: optional(z.string()),
  OTEL_TRACES_SAMPLER: optional(z.enum(samplers)),
  OTEL_TRACES_SAMPLER_ARG: optional(z.coerce.number().min(0).max(1)),
  OTEL_BSP_MAX_QUEUE_SIZE: amount(100_000),
  OTEL_BSP_MAX_EXPORT_BATCH_SIZE: amount(100_000),
  OTEL_BSP_SCHEDULE_DELAY: amount(3_600_000),
  OTEL_BSP_EXPORT_TIMEOUT: amount(3_600_000),
};

type Environment = z.infer<z.ZodObject<typeof tracingEnvironment>>;

/** Undefined where there is no endpoint, or traces are disabled. */
export function tracingOf(data: Environment): TracingConfig | undefined {
  const url =
    data.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT ??
    data.OTEL_EXPORTER_OTLP_ENDPOINT?.replace(/\/?$/, "/v1/traces");
  const isDisabled =
    data.OTEL_SDK_DISABLED?.toLowerCase() === "true" || data.OTEL_TRACES_EXPORTER === "none";
  if (url === undefined || isDisabled) return undefined;
  return {
    serviceName: data.OTEL_SERVICE_NAME,
    url,
    sampler: samplerOf(data),
    batch: {
      maxQueueSize: data.OTEL_BSP_MAX_QUEUE_SIZE ?? 2048,
      maxExportBatchSize: data.OTEL_BSP_MAX_EXPORT_BATCH_SIZE ?? 512,
      scheduledDelayMillis: data.OTEL_BSP_SCHEDULE_DELAY ?? 5000,
      exportTimeoutMillis: data.OTEL_BSP_EXPORT_TIMEOUT ?? 30_000,
    },
  };
}

function samplerOf({
  OTEL_TRACES_SAMPLER: name = "parentbased_always_on",
  OTEL_TRACES_SAMPLER_ARG: ratio = 1,
}: Environment): Sampler {
  const followsParent = name.startsWith("parentbased_");
  if (name.endsWith("traceidratio")) return { followsParent, ratio };
  return { followsParent, ratio: name.endsWith("always_off") ? 0 : 1 };
}
