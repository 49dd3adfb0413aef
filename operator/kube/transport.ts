import { HttpMethod, RequestContext, type KubeConfig } from "@kubernetes/client-node";
import { fetch, type Dispatcher, type Response } from "undici";

import { readBounded } from "../body.ts";
import { OperatorError } from "../errors.ts";
import { errorOf, messageIn, unavailable } from "./answer.ts";

/** Requests to the API server, with the kubeconfig's credentials and the project's errors. */
export interface Transport {
  /** A request and its whole answer, within the time that one request may take. */
  readonly json: <T>(request: Request, signal: AbortSignal) => Promise<T>;
  /** A request whose answer the caller reads; only the signal bounds it. */
  readonly open: (request: Request, signal: AbortSignal) => Promise<Response>;
}

export interface Request {
  readonly method: keyof typeof HttpMethod;
  readonly path: string;
  readonly query?: Readonly<Record<string, string | undefined>>;
  readonly body?: { readonly type: string; readonly value: unknown };
}

export interface TransportSettings {
  readonly config: KubeConfig;
  readonly requestTimeoutMs: number;
  /** Told of every answer, for rest_client_requests_total; the code is `<error>` when none came. */
  readonly onAnswer?: (method: string, code: number | "<error>", host: string) => void;
}

const MAX_BODY_BYTES = 64 * 1024 * 1024;
const MAX_ERROR_BYTES = 100_000;
/** Connections are shared for this long; then certificates are read anew. Tokens are, with every request. */
const DISPATCHER_LIFETIME_MS = 10 * 60_000;

export function createTransport({
  config,
  requestTimeoutMs,
  onAnswer,
}: TransportSettings): Transport {
  let dispatcher: { readonly value: Dispatcher | undefined; readonly until: number } | undefined;

  async function answerOf(
    { method, query = {}, body }: Request,
    url: URL,
    signal: AbortSignal,
  ): Promise<Response> {
    for (const [key, value] of Object.entries(query)) {
      if (value !== undefined) url.searchParams.set(key, value);
    }
    const context = new RequestContext(url.toString(), HttpMethod[method]);
    await config.applySecurityAuthentication(context);
    if (dispatcher === undefined || dispatcher.until < performance.now()) {
      dispatcher = {
        value: context.getDispatcher(),
        until: performance.now() + DISPATCHER_LIFETIME_MS,
      };
    }
    return fetch(url, {
      method,
      headers: {
        ...context.getHeaders(),
        accept: "application/json",
        ...(body && { "content-type": body.type }),
      },
      ...(body && { body: JSON.stringify(body.value) }),
      ...(dispatcher.value && { dispatcher: dispatcher.value }),
      // Credentials go to the API server and nowhere else.
      redirect: "error",
      signal,
    });
  }

  async function open(request: Request, signal: AbortSignal): Promise<Response> {
    const { method, path } = request;
    const cluster = config.getCurrentCluster();
    if (cluster === null)
      throw new OperatorError("CONFIG_INVALID", "the kubeconfig names no current cluster");
    const url = new URL(cluster.server.replace(/\/$/, "") + path);
    let response: Response;
    try {
      response = await answerOf(request, url, signal);
    } catch (error) {
      onAnswer?.(method, "<error>", url.host);
      throw error;
    }
    onAnswer?.(method, response.status, url.host);
    if (response.ok) return response;
    const { bytes } = await readBounded(response.body, MAX_ERROR_BYTES);
    const retryAfter = response.headers.get("retry-after");
    throw errorOf(response.status, method, path, messageIn(bytes.toString("utf8")), retryAfter);
  }

  async function translated<T>(
    { method, path }: Request,
    signal: AbortSignal,
    work: () => Promise<T>,
  ): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof OperatorError) throw error;
      // Who called it off is told so; a deadline of theirs is a timeout all the same.
      if (signal.aborted && !isTimeout(signal.reason)) throw signal.reason;
      throw unavailable(method, path, error);
    }
  }

  return {
    open: (request, signal) => translated(request, signal, () => open(request, signal)),
    json: <T>(request: Request, signal: AbortSignal) =>
      translated(request, signal, async () => {
        const bounded = AbortSignal.any([signal, AbortSignal.timeout(requestTimeoutMs)]);
        const response = await open(request, bounded);
        const { bytes, whole } = await readBounded(response.body, MAX_BODY_BYTES);
        const what = `${request.method} ${request.path}`;
        if (!whole) {
          throw new OperatorError(
            "KUBE_UNEXPECTED_RESPONSE",
            `${what}: the answer is larger than ${MAX_BODY_BYTES} bytes`,
          );
        }
        try {
          // The API server holds its objects to their schema.
          return JSON.parse(bytes.toString("utf8")) as T;
        } catch (cause) {
          throw new OperatorError("KUBE_UNEXPECTED_RESPONSE", `${what}: the answer is not JSON`, {
            cause,
          });
        }
      }),
  };
}

function isTimeout(reason: unknown): boolean {
  return reason instanceof Error && reason.name === "TimeoutError";
}
