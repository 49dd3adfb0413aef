import { annotations } from "../../../crds/names.ts";
import type { Observed } from "../observed.ts";
import { isVerifying, type Ledger } from "../release/ledger.ts";
import { ownedObjects, slotNames } from "../resources/owned.ts";

/** An object that has the name of an owned object, but belongs to another owner, and is not for this app to take over. */
export interface Conflict {
  readonly message: string;
  /** The garbage collector is about to remove it. */
  readonly isPassing: boolean;
}

export function findConflict({ app, owned }: Observed, ledger: Ledger): Conflict | undefined {
  const needs = { spec: app.spec, isVerifying: isVerifying(ledger) };
  const foreign = slotNames
    .filter((name) => ownedObjects[name].isNeeded(needs))
    .flatMap((name) => {
      const slot = owned[name];
      const isForeign = slot.state === "foreign";
      return isForeign ? [{ ...slot, name: ownedObjects[name].nameOf(app.metadata.name) }] : [];
    });
  if (foreign.length === 0) return undefined;
  const what = foreign.map(({ kind }) => kind).join(" and ");
  const { namespace } = app.metadata;
  const name = [...new Set(foreign.map((one) => one.name))].join(" and ");
  if (foreign.every(({ isLeaving }) => isLeaving)) {
    return {
      isPassing: true,
      message: `waiting for the garbage collector to remove the ${what} of a deleted AIApp named ${app.metadata.name}`,
    };
  }
  const names = foreign.map((one) => `${one.kind.toLowerCase()}/${one.name}`).join(" ");
  const takeOver = foreign.every(({ isAdoptable }) => isAdoptable)
    ? `; to let the AIApp take it over instead: kubectl annotate ${names} --namespace ${namespace} ${annotations.adopt}=${app.metadata.name}`
    : "";
  return {
    isPassing: false,
    message: `a ${what} named ${name} already exists and does not belong to this AIApp: rename the AIApp, or delete the ${what}${takeOver}`,
  };
}
