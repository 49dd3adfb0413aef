/** A number of bytes that requests share. */
export interface Budget {
  /** False when so much is not left. */
  readonly take: (bytes: number) => boolean;
  readonly give: (bytes: number) => void;
}

export function createBudget(total: number): Budget {
  let left = total;
  return {
    take: (bytes) => {
      if (bytes > left) return false;
      left -= bytes;
      return true;
    },
    give: (bytes) => {
      left += bytes;
    },
  };
}
