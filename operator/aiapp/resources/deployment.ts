import type { AIApp } from "../../../crds/aiapp/aiapp.ts";
import type { V1Deployment } from "../../kube/types.ts";
import { milliseconds } from "../../../crds/grammar/duration.ts";
import type { ReleaseRecord } from "../release/record.ts";
import { annotations } from "../../../crds/names.ts";
import { ownedMetadata, roleSelector, setName, type SetName } from "./owner.ts";
import { stampTemplate } from "./template.ts";

/** Instead of the hash of what was applied, on a Deployment that is about to be deleted. */
export const RETIRED = "retired";

/**
 * A set of pods. It is all that the operator says of the Deployment: server-side apply leaves the rest alone.
 *
 * @param replicas left out where an autoscaler owns them
 * @param givesPlaceTo a release whose verification needs the place of one pod
 */
export function buildDeployment(
  owner: AIApp,
  set: SetName,
  { id, template }: ReleaseRecord,
  replicas: number | undefined,
  givesPlaceTo?: string,
): V1Deployment {
  const number = givesPlaceTo === undefined ? replicas : Math.max(0, (replicas ?? 1) - 1);
  return {
    metadata: {
      ...ownedMetadata(
        owner,
        givesPlaceTo === undefined ? {} : { [annotations.givesPlaceTo]: givesPlaceTo },
      ),
      name: setName(owner, set),
    },
    spec: {
      ...(number !== undefined && { replicas: number }),
      revisionHistoryLimit: 2,
      progressDeadlineSeconds: Math.ceil(
        milliseconds(owner.spec.rollout?.progressDeadline ?? "10m") / 1000,
      ),
      selector: { matchLabels: roleSelector(owner, set) },
      strategy: { type: "RollingUpdate", rollingUpdate: rollingUpdate(owner) },
      template: stampTemplate(owner, template, { role: set, traffic: true, release: id }),
    },
  };
}

function rollingUpdate({ spec }: AIApp): { maxUnavailable: number; maxSurge: number | string } {
  return spec.verify?.placement === "InPlace"
    ? { maxUnavailable: 1, maxSurge: 0 }
    : // New pods first: there are never fewer serving pods than before.
      { maxUnavailable: 0, maxSurge: "25%" };
}
