/** What is remembered at most: clients that differ, and the bytes of what each of them sends. */
const MAX_HEADS = 16;
const MAX_BYTES = 2048;

/**
 * Remembers what was read of the last few heads: a client sends the same JSON in front of each of its tensors, and reading it
 * takes longer than the rest of a small request.
 * @param read gives what is never changed; what it throws is not remembered
 */
export function rememberHeads<T>(read: (head: Buffer) => T): (head: Buffer) => T {
  const known = new Map<string, T>();
  return (head) => {
    if (head.length > MAX_BYTES) return read(head);
    // One character a byte: equal texts are equal bytes.
    const text = head.toString("latin1");
    const found = known.get(text);
    if (found !== undefined) return found;
    const value = read(head);
    for (const oldest of known.keys()) {
      if (known.size < MAX_HEADS) break;
      known.delete(oldest);
    }
    known.set(text, value);
    return value;
  };
}
