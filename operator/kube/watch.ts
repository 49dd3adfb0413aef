import { OperatorError } from "../errors.ts";
import { errorOf, linesOf, unavailable } from "./response.ts";
import type { Request, Transport } from "./transport.ts";
import type { WatchEvent } from "./types.ts";

const MAX_LINE = 4 * 1024 * 1024;
const eventTypes = ["ADDED", "MODIFIED", "DELETED", "BOOKMARK"] as const;

/**
 * The events of a watch until the server ends it. A connection without any event for `silenceMs`, not even a bookmark,
 * is considered dead: TCP alone would not notice for hours.
 */
export async function* openWatch<T>(
  transport: Transport,
  request: Request,
  silenceMs: number,
  signal: AbortSignal,
): AsyncGenerator<WatchEvent<T>> {
  const where = `WATCH ${request.path}`;
  const ended = new AbortController();
  let isSilent = false;
  let timer: NodeJS.Timeout | undefined;
  function startTimer(): void {
    timer = setTimeout(() => {
      isSilent = true;
      ended.abort();
    }, silenceMs);
  }
  try {
    startTimer();
    const response = await transport.open(request, AbortSignal.any([signal, ended.signal]));
    for await (const line of linesOf(response.body, MAX_LINE, where)) {
      // The time that the caller takes for an event does not count.
      clearTimeout(timer);
      yield eventOf<T>(line, request.path);
      startTimer();
    }
  } catch (error) {
    if (isSilent) {
      throw new OperatorError(
        "KUBE_TIMEOUT",
        `${where}: no event for ${silenceMs / 1000} s: the connection is considered dead`,
        { cause: error },
      );
    }
    if (error instanceof OperatorError || signal.aborted) throw error;
    throw unavailable("WATCH", request.path, error);
  } finally {
    clearTimeout(timer);
    ended.abort();
  }
}

interface RawEvent<T> {
  readonly type: string;
  readonly object: T & { readonly code?: number; readonly message?: string };
}

function eventOf<T>(line: string, path: string): WatchEvent<T> {
  let event: RawEvent<T>;
  try {
    // The API server holds its objects to their schema.
    event = JSON.parse(line) as RawEvent<T>;
  } catch (cause) {
    throw new OperatorError("KUBE_UNEXPECTED_RESPONSE", `WATCH ${path}: an event is not JSON`, {
      cause,
    });
  }
  const type = eventTypes.find((known) => known === event.type);
  if (type !== undefined) return { type, object: event.object };
  const { code = 500, message = line.slice(0, 200) } = event.object;
  throw errorOf(code, "WATCH", path, message);
}
