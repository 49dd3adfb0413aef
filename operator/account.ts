import { AsyncLocalStorage } from "node:async_hooks";

/** What a poll takes of the operator. `cpuMs` is of the work that is done in slices. */
export const charges = ["polls", "bytes", "cpuMs"] as const;
export type Charge = (typeof charges)[number];

/** Whom a poll counts for: of the namespaces that share a source, the one whose turn it was. */
export interface Account {
  readonly namespace: string;
  readonly charge: (kind: Charge, amount: number) => void;
}

const accounts = new AsyncLocalStorage<Account>();

/** Does `work`, all that it awaits included, on an account: what reads bodies, deep inside an SDK, finds it by itself. */
export function onAccount<T>(account: Account, work: () => T): T {
  return accounts.run(account, work);
}

/** Undefined outside of a poll. */
export function currentAccount(): Account | undefined {
  return accounts.getStore();
}
