/** Limits concurrency: at most `limit` of the given tasks run at once. */
export function slots(limit: number): <T>(task: () => Promise<T>) => Promise<T> {
  let free = limit;
  const waiting: (() => void)[] = [];
  return async function inSlot(task) {
    if (free > 0) free -= 1;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      return await task();
    } finally {
      const next = waiting.shift();
      if (next) next();
      else free += 1;
    }
  };
}

/** Maps with at most `limit` items in flight. The first failure aborts the others, and is thrown once all have ended. */
export async function mapBounded<T, R>(
  items: readonly T[],
  limit: number,
  map: (item: T, signal: AbortSignal) => Promise<R>,
  signal: AbortSignal,
): Promise<R[]> {
  const failed = new AbortController();
  const either = AbortSignal.any([signal, failed.signal]);
  const results: R[] = [];
  const queue = items.entries();
  async function work(): Promise<void> {
    for (const [index, item] of queue) {
      either.throwIfAborted();
      results[index] = await map(item, either);
    }
  }
  let first: { readonly error: unknown } | undefined;
  const workers = Array.from({ length: Math.min(limit, items.length) }, () =>
    work().catch((error: unknown) => {
      first ??= { error };
      failed.abort();
    }),
  );
  await Promise.all(workers);
  signal.throwIfAborted();
  if (first) throw first.error;
  return results;
}
