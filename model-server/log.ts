import { pino, type Logger } from "pino";

export type { Logger } from "pino";

/** JSON lines on standard output: a static message and its fields. */
export function createLogger(level: string): Logger {
  return pino({
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    errorKey: "error",
  });
}
