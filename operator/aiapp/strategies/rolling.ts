import { targetOf } from "../steps/target.ts";
import { servingReplicas, type Strategy } from "./strategy.ts";

/** One set. Its Deployment replaces its pods: new ones first, old ones terminate when the new ones are ready. */
export const rolling: Strategy = {
  arrange: ({ spec, sets, ledger }) => {
    const record = targetOf(ledger);
    return {
      sets: {
        stable:
          record === undefined ? "keep" : { record, replicas: servingReplicas(spec, sets.stable) },
        candidate: "retire",
      },
      rollsOut: "stable",
      selects: "stable",
      serving: "stable",
      changesAt: undefined,
    };
  },
  isServing: () => true,
};
