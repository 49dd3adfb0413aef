/** @import { Model, ServerRequest } from "./types.d.ts" */

/** Requests of the page to its server. Addresses are relative: the server may stand behind a path. */

const KEY = "aiapp-api-key";
const MAX_ANSWER_CHARACTERS = 8 * 1024 * 1024;

export class ServerProblem extends Error {
  /**
   * @param {number} status 0: no answer
   * @param {string} message
   */
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export function hasKey() {
  return sessionStorage.getItem(KEY) !== null;
}

/** @param {string} key */
export function keepKey(key) {
  sessionStorage.setItem(KEY, key);
}

/** @returns {Record<string, string>} */
function authorization() {
  const key = sessionStorage.getItem(KEY);
  return key === null ? {} : { authorization: `Bearer ${key}` };
}

/**
 * @param {string | URL} url
 * @param {RequestInit} options
 */
async function answerOf(url, options) {
  const headers = { ...options.headers, ...authorization() };
  const response = await fetch(url, { ...options, headers }).catch((cause) => {
    if (options.signal?.aborted === true) throw cause;
    throw new ServerProblem(0, "The server cannot be reached: check the network, then try again.");
  });
  const text = await response.text();
  if (text.length > MAX_ANSWER_CHARACTERS)
    throw new ServerProblem(response.status, "The answer is too large to show: use the API.");
  /** @type {unknown} */
  let body;
  try {
    body = JSON.parse(text);
  } catch {
    throw new ServerProblem(response.status, `Unexpected response: ${response.status}`);
  }
  if (!response.ok)
    throw new ServerProblem(response.status, String(Object(body).error ?? response.status));
  return { body, headers: response.headers };
}

/** @returns {Promise<Model>} */
export async function readModel() {
  const { body } = await answerOf("ui/model.json", { cache: "no-store" });
  return /** @type {Model} */ (body);
}

/**
 * @param {ServerRequest} request
 * @param {AbortSignal} signal
 */
export async function send({ url, contentType, body }, signal) {
  const began = performance.now();
  const answer = await answerOf(url, {
    method: "POST",
    headers: { "content-type": contentType },
    body: "blob" in body ? body.blob : body.json,
    signal,
  });
  return {
    body: answer.body,
    ms: performance.now() - began,
    release: answer.headers.get("aiapp-release") ?? "",
    version: answer.headers.get("aiapp-model-version") ?? "",
  };
}
