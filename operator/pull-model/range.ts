import type { BlobClient } from "@azure/storage-blob";

import { OperatorError } from "../errors.ts";

export interface Range {
  readonly offset: number;
  readonly length: number;
  /** The store refuses the range of a blob with another ETag. */
  readonly etag: string;
}

/**
 * The bytes of one range, and no more.
 *
 * @throws STORAGE_UNAVAILABLE when none arrives for `stallMs`, STORAGE_UNEXPECTED_RESPONSE when the store sends more
 */
export async function* readRange(
  blob: BlobClient,
  { offset, length, etag }: Range,
  stallMs: number,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  const stalled = new AbortController();
  const either = AbortSignal.any([signal, stalled.signal]);
  const stall = (): void => stalled.abort(new Error(`no byte arrived for ${stallMs / 1000} s`));
  let timer = setTimeout(stall, stallMs);
  try {
    const response = await blob.download(offset, length, {
      abortSignal: either,
      maxRetryRequests: 0,
      conditions: { ifMatch: etag },
    });
    const body = response.readableStreamBody;
    if (body === undefined) throw new Error("the response has no body");
    const destroy = (): void => {
      if ("destroy" in body && typeof body.destroy === "function")
        body.destroy(new Error("stalled"));
    };
    either.addEventListener("abort", destroy, { once: true });
    let left = length;
    for await (const chunk of body) {
      clearTimeout(timer);
      timer = setTimeout(stall, stallMs);
      const bytes = Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk);
      // Leaving the loop closes the connection.
      if (bytes.length > left) throw tooLong(blob, length);
      left -= bytes.length;
      yield bytes;
    }
    either.removeEventListener("abort", destroy);
  } catch (error) {
    if (!stalled.signal.aborted || signal.aborted) throw error;
    throw new OperatorError(
      "STORAGE_UNAVAILABLE",
      `${urlOf(blob)}: no byte arrived for ${stallMs / 1000} s; the pull retries`,
      { cause: error },
    );
  } finally {
    clearTimeout(timer);
  }
}

function tooLong(blob: BlobClient, length: number): OperatorError {
  return new OperatorError(
    "STORAGE_UNEXPECTED_RESPONSE",
    `unexpected response: more than the ${length} bytes that were requested of ${urlOf(blob)}; check that spec.model.store is a Blob container`,
  );
}

/** For messages: without the query, which may be a SAS token. */
export function urlOf(blob: BlobClient): string {
  return blob.url.replace(/\?.*$/, "");
}
