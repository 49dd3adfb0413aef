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
  const ended = Promise.withResolvers<number>();
  const asked = (): void => {
    log.info("stopping");
    ended.resolve(0);
  };
  process.once("SIGTERM", asked);
  process.once("SIGINT", asked);
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
