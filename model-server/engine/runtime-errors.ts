import { ServerError } from "../errors.ts";

/** Paths of the runtime's sources, with their line and function, which it puts into its messages. */
const SOURCE_PATH = /(?:[A-Za-z]:)?[\w.+~-]*[\\/][\w.+~\\/-]*\.(?:cc|cpp|h|hpp|cu)(?::\d+)?\s*/g;
const OUT_OF_MEMORY = /bad_alloc|failed to allocate|available memory of|out of memory/i;
const MAX_LENGTH = 500;

/** What the runtime said of a run, as an error of the server. */
export function errorOfRun(message: string): ServerError {
  if (OUT_OF_MEMORY.test(message))
    return new ServerError(
      "OUT_OF_MEMORY",
      "the model ran out of memory: send fewer rows at once, or raise the memory limit",
    );
  const clean = message.replaceAll(SOURCE_PATH, "").replaceAll(/\s+/g, " ").trim();
  return new ServerError(
    "REQUEST_INVALID",
    `the model rejects this input: ${clean.slice(0, MAX_LENGTH)}`,
  );
}
