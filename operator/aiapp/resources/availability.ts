import type { AIApp } from "../../../crds/aiapp/aiapp.ts";
import type { V1PodDisruptionBudget, V2HorizontalPodAutoscaler } from "../../kube/types.ts";
import { ownedMetadata, roleSelector, setName, type Owner, type SetName } from "./owner.ts";

/** An eviction may take one pod at a time; pods that do not serve anyway may always be evicted. */
export function buildPodDisruptionBudget(owner: Owner, serving: SetName): V1PodDisruptionBudget {
  return {
    metadata: ownedMetadata(owner),
    spec: {
      maxUnavailable: 1,
      unhealthyPodEvictionPolicy: "AlwaysAllow",
      selector: { matchLabels: roleSelector(owner, serving) },
    },
  };
}

/** It scales the Deployment that serves, and counts the pods of its selector only. */
export function buildHorizontalPodAutoscaler(
  owner: Owner,
  { minReplicas, maxReplicas, targetCPUUtilization }: NonNullable<AIApp["spec"]["autoscaling"]>,
  serving: SetName,
): V2HorizontalPodAutoscaler {
  return {
    metadata: ownedMetadata(owner),
    spec: {
      scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: setName(owner, serving) },
      minReplicas,
      maxReplicas,
      metrics: [
        {
          type: "Resource",
          resource: {
            name: "cpu",
            target: { type: "Utilization", averageUtilization: targetCPUUtilization },
          },
        },
      ],
    },
  };
}
