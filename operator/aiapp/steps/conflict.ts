import type { Observed, Slot } from "../observed.ts";

/** An object that has a name that we need, but is not ours. It is never adopted. */
export interface Conflict {
  readonly message: string;
  /** It goes by itself. */
  readonly passing: boolean;
}

export function findConflict(observed: Observed): Conflict | undefined {
  const { app } = observed;
  const slots: readonly Slot<unknown>[] = [
    observed.deployment,
    observed.service,
    observed.podDisruptionBudget,
    observed.horizontalPodAutoscaler,
    ...(app.spec.serviceAccountName === undefined ? [observed.serviceAccount] : []),
  ];
  const foreign = slots.flatMap((slot) => (slot.state === "foreign" ? [slot] : []));
  if (foreign.length === 0) return undefined;
  const what = foreign.map(({ kind }) => kind).join(" and ");
  if (foreign.every(({ leaving }) => leaving)) {
    return {
      passing: true,
      message: `the ${what} of an AIApp named ${app.metadata.name} that was deleted is still being cleared away`,
    };
  }
  return {
    passing: false,
    message: `a ${what} named ${app.metadata.name} is there already and was not made by this AIApp: rename the AIApp, or delete the ${what}`,
  };
}
