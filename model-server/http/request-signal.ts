import type { ServerResponse } from "node:http";

import { ServerError } from "../errors.ts";

/** Aborts when the client has gone or the time is up, with the error that says which. */
export function signalOf(response: ServerResponse, timeoutMs: number): AbortSignal {
  const controller = new AbortController();
  const timer = setTimeout(
    () =>
      controller.abort(
        new ServerError("TIMED_OUT", "the request was not answered in time: try again"),
      ),
    timeoutMs,
  );
  response.on("close", () => {
    clearTimeout(timer);
    if (!response.writableFinished)
      controller.abort(new ServerError("CLIENT_GONE", "the client closed its connection"));
  });
  return controller.signal;
}
