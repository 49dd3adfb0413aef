/** What an entry takes of the bounds. */
export interface Sized {
  readonly rows: number;
  readonly bytes: number;
}

export interface QueueLimits {
  readonly requests: number;
  readonly rows: number;
  readonly bytes: number;
}

/** First in, first out; bounded in requests, rows and bytes. */
export interface Queue<T extends Sized> {
  /** False when a bound would be passed. One entry may pass rows and bytes alone: it could never be taken else. */
  readonly add: (entry: T) => boolean;
  readonly first: () => T | undefined;
  readonly entries: () => Iterable<T>;
  /** False when it was not there. */
  readonly remove: (entry: T) => boolean;
  readonly size: () => number;
  /** Of all entries. */
  readonly rows: () => number;
}

export function createQueue<T extends Sized>(limits: QueueLimits): Queue<T> {
  // A Set keeps the order of insertion, and removes from the middle at no cost.
  const entries = new Set<T>();
  let rows = 0;
  let bytes = 0;

  function hasRoom(entry: T): boolean {
    if (entries.size >= limits.requests) return false;
    if (entries.size === 0) return true;
    return rows + entry.rows <= limits.rows && bytes + entry.bytes <= limits.bytes;
  }

  return {
    add: (entry) => {
      if (!hasRoom(entry)) return false;
      entries.add(entry);
      rows += entry.rows;
      bytes += entry.bytes;
      return true;
    },
    first: () => entries.values().next().value,
    entries: () => entries,
    remove: (entry) => {
      if (!entries.delete(entry)) return false;
      rows -= entry.rows;
      bytes -= entry.bytes;
      return true;
    },
    size: () => entries.size,
    rows: () => rows,
  };
}
