/** Reads a body of at most `maxBytes`; a longer one is cut there, and `whole` is false. */
export async function readBounded(
  body: AsyncIterable<Uint8Array | string> | null | undefined,
  maxBytes: number,
): Promise<{ readonly bytes: Buffer; readonly whole: boolean }> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body ?? []) {
    const bytes = typeof chunk === "string" ? Buffer.from(chunk) : chunk;
    size += bytes.byteLength;
    if (size > maxBytes) return { bytes: Buffer.concat(chunks), whole: false };
    chunks.push(bytes);
  }
  return { bytes: Buffer.concat(chunks), whole: true };
}
