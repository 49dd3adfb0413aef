import { createHash, timingSafeEqual } from "node:crypto";
import { open } from "node:fs/promises";

import { ServerError } from "./errors.ts";
import type { Logger } from "./log.ts";

/** Who may call: the keys of a file, which may change while the server runs. */
export interface Keys {
  /** @param authorization the header, `Bearer <key>` @throws UNAUTHENTICATED */
  readonly check: (authorization: string | undefined) => void;
  readonly close: () => void;
}

const MAX_BYTES = 1024 * 1024;
const RELOAD_MS = 1000;
/** Printable, without spaces; a short one can be guessed. */
const KEY = /^[\x21-\x7e]{16,512}$/;

const openToAll: Keys = { check: () => {}, close: () => {} };

/**
 * @param file one key a line; empty lines and those that begin with # are skipped. Undefined: all may call
 * @throws CONFIG_INVALID where the file cannot be read or has no valid keys
 */
export async function openKeys(
  file: string | undefined,
  log: Logger,
  reloadMs = RELOAD_MS,
): Promise<Keys> {
  if (file === undefined) return openToAll;
  let digests = await readDigests(file);
  let isFailing = false;
  const reload = async (): Promise<void> => {
    try {
      digests = await readDigests(file);
      isFailing = false;
    } catch (error) {
      // The keys before stay valid: a file that is being replaced must not lock callers out, nor let all of them in.
      if (!isFailing) log.error({ error }, "the API keys were not read again");
      isFailing = true;
    }
  };
  let reading = Promise.resolve();
  const timer = setInterval(() => {
    reading = reading.then(reload);
  }, reloadMs);
  timer.unref();
  return {
    check: (authorization) => {
      const key = /^Bearer (\S+)$/i.exec(authorization ?? "")?.[1];
      if (key === undefined)
        throw new ServerError(
          "UNAUTHENTICATED",
          "this server needs an API key: send the header Authorization: Bearer <key>",
        );
      const given = digestOf(key);
      // All of them, whichever it is: the time must not say which.
      let isKnown = false;
      for (const digest of digests) isKnown = timingSafeEqual(digest, given) || isKnown;
      if (!isKnown)
        throw new ServerError("UNAUTHENTICATED", "the API key is not one of this server's");
    },
    close: () => clearInterval(timer),
  };
}

function digestOf(key: string): Buffer {
  return createHash("sha256").update(key).digest();
}

async function readDigests(file: string): Promise<readonly Buffer[]> {
  const lines = (await readBounded(file)).split("\n").map((line) => line.trim());
  const keys = lines.filter((line) => line !== "" && !line.startsWith("#"));
  const wrong = keys.findIndex((key) => !KEY.test(key));
  if (wrong !== -1)
    throw invalid(
      `key ${wrong + 1} of ${file} is not 16 to 512 printable characters without spaces`,
    );
  if (keys.length === 0) throw invalid(`${file} has no keys: add one a line`);
  return keys.map(digestOf);
}

async function readBounded(file: string): Promise<string> {
  try {
    await using handle = await open(file);
    const { size } = await handle.stat();
    if (size <= MAX_BYTES) return await handle.readFile("utf8");
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : "unreadable";
    throw invalid(`${file} cannot be read (${code})`, cause);
  }
  throw invalid(`${file} is larger than ${MAX_BYTES} bytes`);
}

function invalid(message: string, cause?: unknown): ServerError {
  return new ServerError("CONFIG_INVALID", `API_KEYS_FILE: ${message}`, { cause });
}
