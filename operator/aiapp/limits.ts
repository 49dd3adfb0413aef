/** Bounds on what a tenant may store in an AIApp: parts of it are copied, hashed and merged by recursion. */

interface Limits {
  readonly depth: number;
  /** Of the value as JSON, about. */
  readonly bytes: number;
}

/** A release's record holds the spec's inputs twice, in an object of at most 1.5 MiB. */
export const SPEC_LIMITS: Limits = { depth: 64, bytes: 256 * 1024 };

/** A record also holds what the operator adds, and its template is two levels deeper than spec.podTemplate. */
export const RECORD_LIMITS: Limits = { depth: 80, bytes: 1536 * 1024 };

/**
 * What a JSON value has too much of; undefined when it is within the limits. Walks without recursion, and ends at the
 * first excess.
 */
export function excessOf(value: unknown, { depth, bytes }: Limits): string | undefined {
  let size = 0;
  let level: readonly unknown[] = [value];
  for (let deep = 0; level.length > 0; deep += 1) {
    if (deep > depth) return `is nested more than ${depth} levels deep`;
    const next: unknown[] = [];
    for (const one of level) {
      if (typeof one === "string") size += Buffer.byteLength(one) + 2;
      else if (typeof one !== "object" || one === null) size += 4;
      else {
        const keys = Array.isArray(one) ? [] : Object.keys(one);
        for (const key of keys) size += Buffer.byteLength(key) + 4;
        for (const member of Object.values(one)) next.push(member);
      }
      if (size + next.length > bytes) return `is larger than ${bytes / 1024} KiB`;
    }
    level = next;
  }
  return undefined;
}
