import { AIAppOperator } from "./aiapp/operator.ts";
import { systemClock } from "./clock.ts";
import { readConfig } from "./config.ts";
import { messageOf } from "./errors.ts";
import { startHealthServers } from "./health.ts";
import { createLogger } from "./log.ts";
import { createMetrics } from "./metrics.ts";

/** Exit codes: 0 stopped as asked, 1 could not start, 2 lost the lease (the kubelet starts us again). */
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
  });
  const stop = (): void => {
    log.info("stopping");
    void operator.shutdown();
  };
  process.once("SIGTERM", stop);
  process.once("SIGINT", stop);
  log.info({ namespaces: config.watchNamespaces, image: config.operatorImage }, "starting");
  await operator.start();
  const end = await operator.over.promise;
  await servers.close();
  return end === "lost" ? 2 : 0;
}

try {
  process.exit(await main());
} catch (error) {
  process.stderr.write(`${messageOf(error)}\n`);
  process.exit(1);
}
