/**
 * A bound on what the operator holds of responses that it is reading, over all hosts and tenants together. When it is
 * exceeded, the response that holds the most is given up: many that are large, or without end, cost only each other.
 */
export interface ByteBudget {
  /** @param onGivenUp called once, when this share is given up: it must let go of its bytes */
  readonly open: (onGivenUp?: (error: BudgetError) => void) => ByteShare;
  /** Bytes that are held now. */
  readonly held: () => number;
}

/** What one response, or one list of several pages, holds. */
export interface ByteShare {
  /** Counts bytes that were read. @throws BudgetError when this share was given up */
  readonly take: (bytes: number) => void;
  /** The bytes are no longer held. */
  readonly close: () => void;
}

export class BudgetError extends Error {
  override readonly name = "BudgetError";
}

export function createByteBudget(maxBytes: number): ByteBudget {
  const shares = new Map<object, { held: number; giveUp: (error: BudgetError) => void }>();
  let total = 0;

  function giveUpLargest(): void {
    const [key, largest] = [...shares].toSorted(([, a], [, b]) => b.held - a.held).at(0) ?? [];
    if (key === undefined || largest === undefined) return;
    shares.delete(key);
    total -= largest.held;
    largest.giveUp(
      new BudgetError(
        `it was the largest response while all together were over ${maxBytes} bytes, and was given up`,
      ),
    );
  }

  return {
    open: (onGivenUp) => {
      const key = {};
      let error: BudgetError | undefined;
      const giveUp = (reason: BudgetError): void => {
        error = reason;
        onGivenUp?.(reason);
      };
      const share = { held: 0, giveUp };
      shares.set(key, share);
      return {
        take: (bytes) => {
          if (error !== undefined) throw error;
          share.held += bytes;
          total += bytes;
          while (total > maxBytes) giveUpLargest();
          if (error !== undefined) throw error;
        },
        close: () => {
          if (shares.delete(key)) total -= share.held;
        },
      };
    },
    held: () => total,
  };
}
