import { AIAppOperator } from "./aiapp/operator.ts";
import { systemClock } from "./clock.ts";
import { readConfig } from "./config.ts";
import { messageOf } from "./errors.ts";
import { METRICS_PATH, startHealthServers, type MetricsSecurity } from "./health.ts";
import { createAccessReview } from "./kube/access-review.ts";
import { createLogger, type Logger } from "./log.ts";
import { createMetricsAccess } from "./metrics-access.ts";
import { createMetrics } from "./metrics.ts";

function metricsSecurity(folder: string, log: Logger): MetricsSecurity {
  const clock = systemClock;
  const review = createAccessReview();
  return {
    folder,
    authorize: createMetricsAccess({ review, path: METRICS_PATH, clock, log }),
    clock,
    log,
  };
}

/** Exit codes: 0 stopped by a signal, 1 could not start, 2 lost the Lease (the kubelet restarts the container). */
async function main(): Promise<number> {
  const config = readConfig(process.env);
  const log = createLogger(config.logLevel);
  const metrics = createMetrics();
  const operator = new AIAppOperator(config, { log, clock: systemClock, metrics });
  const servers = await startHealthServers({
    healthPort: config.healthPort,
    metricsPort: config.metricsPort,
    registry: metrics.registry,
    isHealthy: () => true,
    isReady: () => operator.isReady(),
    ...(config.metricsTlsFolder !== undefined && {
      metricsSecurity: metricsSecurity(config.metricsTlsFolder, log),
    }),
  });
  const ended = Promise.withResolvers<number>();
  const onSignal = (): void => {
    log.info("stopping");
    ended.resolve(0);
  };
  process.once("SIGTERM", onSignal);
  process.once("SIGINT", onSignal);
  operator.ended.addEventListener("abort", () => ended.resolve(2), { once: true });
  log.info({ namespaces: config.watchNamespaces, image: config.operatorImage }, "starting");
  await Promise.race([operator.start(), ended.promise]);
  const code = await ended.promise;
  await operator.shutdown();
  await servers.close();
  return code;
}

try {
  process.exit(await main());
} catch (error) {
  process.stderr.write(`${messageOf(error)}\n`);
  process.exit(1);
}
