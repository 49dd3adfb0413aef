import type { IncomingMessage } from "node:http";

import { readBounded } from "../body.ts";
import { messageOf, OperatorError } from "../errors.ts";
import { excerpt } from "./excerpt.ts";

/** An import of node:http reads all that it exports, and one of these loads undici: a quarter of this program's start. */
const { request } = process.getBuiltinModule("node:http");

const MAX_RESPONSE_BYTES = 16 * 1024 * 1024;
/** Of an error's body; what a message quotes of it is shorter. */
const MAX_ERROR_BYTES = 1000;
const MAX_QUOTED = 200;

/**
 * The server's response to one request, parsed.
 * @throws VERIFICATION_FAILED when it is an error, not JSON, too large, or none; the signal's reason once it is aborted
 */
export async function score(url: URL, body: unknown, signal: AbortSignal): Promise<unknown> {
  try {
    const response = await send(url, "POST", JSON.stringify(body), signal);
    const status = response.statusCode ?? 0;
    if (status < 200 || status > 299)
      throw failed(`the server responded ${status}: ${await quote(response)}`, undefined);
    const { bytes, whole } = await readBounded(response, MAX_RESPONSE_BYTES);
    if (!whole) throw failed("the response is larger than 16 MiB", undefined);
    return parseJson(bytes.toString("utf8"));
  } catch (cause) {
    if (cause instanceof OperatorError) throw cause;
    signal.throwIfAborted();
    throw failed(
      `the server closed the connection without a full response: ${excerpt(messageOf(cause), MAX_QUOTED)}`,
      cause,
    );
  }
}

/**
 * Asks once whether the server is ready, by the kubelet's rule: any status from 200 to 399.
 * @returns what says that it is not. @throws the signal's reason once it is aborted
 */
export async function findUnready(url: URL, signal: AbortSignal): Promise<string | undefined> {
  try {
    const response = await send(url, "GET", undefined, signal);
    const status = response.statusCode ?? 0;
    if (status >= 200 && status <= 399) {
      response.destroy();
      return undefined;
    }
    return `GET ${url.href} responded ${status}: ${await quote(response)}`;
  } catch (cause) {
    signal.throwIfAborted();
    return `GET ${url.href} did not complete: ${excerpt(messageOf(cause), MAX_QUOTED)}`;
  }
}

/** On a connection of its own: the server may close one that it kept at any moment, which would look like a failure. */
function send(
  url: URL,
  method: "GET" | "POST",
  body: string | undefined,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const headers = {
    accept: "application/json",
    "accept-encoding": "identity",
    ...(body !== undefined && {
      "content-type": "application/json",
      "content-length": Buffer.byteLength(body),
    }),
  };
  request(url, { method, agent: false, headers, signal })
    .on("response", resolve)
    // Also after the response has begun: then the reader of its body gets the error.
    .on("error", reject)
    .end(body);
  return promise;
}

/** The start of an error's body, as far as it arrives. */
async function quote(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of response) {
      if (!Buffer.isBuffer(chunk)) continue;
      chunks.push(chunk);
      size += chunk.length;
      if (size >= MAX_ERROR_BYTES) break;
    }
  } catch {
    // The status is the verdict: a body that breaks off takes nothing from it.
  }
  const text = Buffer.concat(chunks).toString("utf8");
  return excerpt(text, MAX_QUOTED) || "an empty body";
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw failed(
      `the response is not JSON: ${excerpt(text, MAX_QUOTED) || "an empty body"}`,
      cause,
    );
  }
}

function failed(message: string, cause: unknown): OperatorError {
  return new OperatorError("VERIFICATION_FAILED", message, { cause });
}
