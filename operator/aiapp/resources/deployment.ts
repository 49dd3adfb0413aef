import type { AIApp } from "../../../crds/aiapp/aiapp.ts";
import type { V1Deployment } from "../../kube/types.ts";
import { milliseconds } from "../../../crds/grammar/duration.ts";
import type { ReleaseRecord } from "../release/record.ts";
import { ownedMetadata, roleSelector } from "./owner.ts";
import { stampTemplate } from "./template.ts";

/**
 * The stable set. It is all that the operator says of the Deployment: server-side apply leaves the rest alone.
 *
 * @param replicas left out where an autoscaler owns them
 */
export function buildDeployment(
  owner: AIApp,
  { id, template }: ReleaseRecord,
  replicas: number | undefined,
): V1Deployment {
  return {
    metadata: ownedMetadata(owner),
    spec: {
      ...(replicas !== undefined && { replicas }),
      revisionHistoryLimit: 2,
      progressDeadlineSeconds: Math.ceil(
        milliseconds(owner.spec.rollout?.progressDeadline ?? "10m") / 1000,
      ),
      selector: { matchLabels: roleSelector(owner, "stable") },
      // New pods first: there are never fewer serving pods than before.
      strategy: { type: "RollingUpdate", rollingUpdate: { maxUnavailable: 0, maxSurge: "25%" } },
      template: stampTemplate(owner, template, { role: "stable", traffic: true, release: id }),
    },
  };
}
