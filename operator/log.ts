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
    serializers: {
      // A message and a code; stacks only help when something is wrong with us.
      error: (error: unknown) =>
        error instanceof Error
          ? {
              name: error.name,
              message: error.message,
              ...("code" in error && { code: error.code }),
              ...(error.name !== "OperatorError" && { stack: error.stack }),
            }
          : error,
    },
  });
}
