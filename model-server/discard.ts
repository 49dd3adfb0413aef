/** Below this, garbage is collected soon enough. */
const MIN_BYTES = 16 * 1024;

/**
 * Returns the memory of an array that nothing reads any more, and leaves it empty. V8 collects all garbage several times a second
 * for the sake of large arrays, which lie outside of its heap: under large requests that took a tenth of two cores.
 */
export function discard({ buffer, byteLength }: ArrayBufferView): void {
  // What is a part of a larger buffer has others beside it.
  const isWhole = byteLength === buffer.byteLength && buffer instanceof ArrayBuffer;
  if (isWhole && byteLength >= MIN_BYTES) buffer.transfer(0);
}
