import { currentAccount } from "./account.ts";
import type { ByteBudget } from "./byte-budget.ts";

/** The body of a response is longer than the operator reads. */
export class ResponseTooLargeError extends Error {
  override readonly name = "ResponseTooLargeError";

  constructor(host: string, maxBytes: number) {
    super(`${host} returned more than ${maxBytes} bytes`);
  }
}

type Body = AsyncIterable<Uint8Array | string>;

/**
 * Reads a body of at most `maxBytes`; a longer one is cut there, and `whole` is false. During a poll, its account is charged.
 *
 * @param budget what all bodies that are read at once may hold together. @throws BudgetError when this one was given up
 */
export async function readBounded(
  body: Body | null | undefined,
  maxBytes: number,
  budget?: ByteBudget,
): Promise<{ readonly bytes: Buffer; readonly whole: boolean }> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  const account = currentAccount();
  const share = budget?.open((error) => destroy(body, error));
  try {
    for await (const chunk of body ?? []) {
      const bytes = typeof chunk === "string" ? Buffer.from(chunk) : chunk;
      size += bytes.byteLength;
      if (size > maxBytes) return { bytes: Buffer.concat(chunks), whole: false };
      account?.charge("bytes", bytes.byteLength);
      share?.take(bytes.byteLength);
      chunks.push(bytes);
    }
    return { bytes: Buffer.concat(chunks), whole: true };
  } finally {
    share?.close();
  }
}

function destroy(body: Body | null | undefined, error: Error): void {
  if (body && "destroy" in body && typeof body.destroy === "function") body.destroy(error);
}
