import {
  defaultTextMapGetter,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
} from "@opentelemetry/api";
import { ExportResultCode, W3CTraceContextPropagator } from "@opentelemetry/core";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import {
  defaultResource,
  detectResources,
  resourceAttributesEnvDetector,
  resourceFromAttributes,
} from "@opentelemetry/resources";
import {
  BatchSpanProcessor,
  ParentBasedSampler,
  TracerProvider,
  TraceIdRatioBasedSampler,
  type Sampler as SdkSampler,
  type SpanExporter,
} from "@opentelemetry/sdk-trace";

import { errors } from "../errors.ts";
import type { Logger } from "../log.ts";
import type { Stage } from "../stages.ts";
import type { Sampler, TracingConfig } from "./config.ts";
import type { Attributes, RequestTrace, TracedRequest, Tracing } from "./tracing.ts";

/** Traces by OpenTelemetry's SDK, sent to a collector over OTLP. The only file that imports it: it takes time to load. */

/** How long the end of the server waits for the last spans: pods have a few seconds after the longest drain. */
const FLUSH_MS = 3000;

const stageNames = {
  decode: "decode",
  images: "decode images",
  queue: "queue",
  run: "run",
  encode: "encode",
} as const satisfies Record<Stage["kind"], string>;

export interface TracingParts {
  /** Of the resource, unless the environment says otherwise. */
  readonly attributes: Attributes;
  readonly log: Logger;
  /** Milliseconds of the epoch. */
  readonly epoch: () => number;
}

/**
 * Requests never wait for the collector: finished spans queue up to a bound, are sent in batches, and are dropped where the
 * queue is full or a batch fails.
 */
export function openTracing(
  { serviceName, url, sampler, batch }: TracingConfig,
  { attributes, log, epoch }: TracingParts,
): Tracing {
  const resource = defaultResource()
    .merge(resourceFromAttributes(attributes))
    .merge(detectResources({ detectors: [resourceAttributesEnvDetector] }))
    .merge(
      resourceFromAttributes(serviceName === undefined ? {} : { "service.name": serviceName }),
    );
  const exporter = withLog(new OTLPTraceExporter({ url }), log);
  const provider = new TracerProvider({
    resource,
    sampler: createSampler(sampler),
    spanProcessors: [new BatchSpanProcessor({ exporter, ...batch })],
  });
  const tracer = provider.getTracer("aiapp-model-server");
  const propagator = new W3CTraceContextPropagator();

  /** One for all spans of a request: by the library's own, which has milliseconds, they would overlap. */
  function createClock(): (ms: number) => number {
    const offset = epoch() - performance.now();
    return (ms) => offset + ms;
  }

  function begin({ name, began, headers, attributes: own }: TracedRequest): RequestTrace {
    const parent = propagator.extract(ROOT_CONTEXT, headers, defaultTextMapGetter);
    const epochOf = createClock();
    const options = { kind: SpanKind.SERVER, startTime: epochOf(began), attributes: own };
    const span = tracer.startSpan(name, options, parent);
    const context = trace.setSpan(parent, span);
    return {
      addStage: (stage) => {
        if (!span.isRecording()) return;
        const startTime = epochOf(stage.began);
        const stageOptions = { startTime, attributes: attributesOf(stage) };
        tracer.startSpan(stageNames[stage.kind], stageOptions, context).end(epochOf(stage.ended));
      },
      fail: (code) => {
        span.setAttribute("error.type", code);
        // Never the message: it may quote the request.
        if (errors[code].http >= 500)
          span.setStatus({ code: SpanStatusCode.ERROR, message: errors[code].summary });
      },
      end: (last) => span.setAttributes(last).end(epochOf(performance.now())),
    };
  }

  return {
    begin,
    close: async () => {
      const bound = Promise.withResolvers<void>();
      const timer = setTimeout(bound.resolve, FLUSH_MS);
      // What was not sent has been logged.
      await Promise.race([bound.promise, provider.shutdown().catch(() => {})]);
      clearTimeout(timer);
    },
  };
}

function attributesOf(stage: Stage): Attributes {
  switch (stage.kind) {
    case "run":
      return {
        "aiapp.batch.rows": stage.rows,
        "aiapp.batch.requests": stage.requests,
        "aiapp.compute_ms": stage.computed,
      };
    case "images":
      return { "aiapp.images": stage.images };
    case "decode":
    case "queue":
    case "encode":
      return {};
  }
}

function createSampler({ followsParent, ratio }: Sampler): SdkSampler {
  const root = new TraceIdRatioBasedSampler(ratio);
  return followsParent ? new ParentBasedSampler({ root }) : root;
}

/** The exporter, and one line of log when it begins to fail, and when it works again. */
function withLog(exporter: SpanExporter, log: Logger): SpanExporter {
  let isFailing = false;
  return {
    shutdown: () => exporter.shutdown(),
    export: (spans, done) =>
      exporter.export(spans, (result) => {
        const hasFailed = result.code !== ExportResultCode.SUCCESS;
        if (hasFailed && !isFailing)
          log.warn({ reason: result.error?.message }, "traces are not exported");
        if (!hasFailed && isFailing) log.info("traces are exported again");
        isFailing = hasFailed;
        done(result);
      }),
  };
}
