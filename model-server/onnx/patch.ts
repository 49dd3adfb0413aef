/** Bytes of a file that are replaced: those from `from` up to `to`. In order, and apart from each other. */
export interface Patch {
  readonly from: number;
  readonly to: number;
  readonly bytes: Uint8Array;
}

export function applyPatches(bytes: Uint8Array, patches: readonly Patch[]): Uint8Array {
  const parts: Uint8Array[] = [];
  let at = 0;
  for (const patch of patches) {
    parts.push(bytes.subarray(at, patch.from), patch.bytes);
    at = patch.to;
  }
  parts.push(bytes.subarray(at));
  return Buffer.concat(parts);
}

/** How much longer the patches make what they replace. */
export function growthOf(patches: readonly Patch[]): number {
  return patches.reduce((sum, { from, to, bytes }) => sum + bytes.length - (to - from), 0);
}
