import type { V1Container, V1Volume } from "../../kube/types.ts";
import type { Release } from "../release/identity.ts";
import { itemsOf, memberOf } from "./unchecked.ts";

/**
 * What the model may take of a node, by the size that polling saw. A record without the size gets no limits: an operator
 * that did not know it has made the record, and the pods of that release have run without.
 */

export const MIB = 2 ** 20;
/** 1 TiB: a manifest may claim any size. */
const MAX_MODEL_BYTES = 2 ** 40;
/** Blocks of 10,000 small files, and the manifest. */
const VOLUME_SLACK = 64 * MIB;
/** For what the other containers of the pod write: the kubelet counts the whole pod against the limit of one container. */
const POD_SLACK = 10 * 1024 * MIB;
/** The pull takes 230 MB at its peak, whatever the model's size (docs/performance.md). */
const PULL_MEMORY = "512Mi";

type Sized = Pick<Release, "modelBytes" | "inputs">;

/** The volume holds each file once. Twice that leaves room for a download that begins again with other bytes. */
export function modelVolume({ modelBytes }: Sized): NonNullable<V1Volume["emptyDir"]> {
  return modelBytes === undefined ? {} : { sizeLimit: mebibytes(volumeBytes(modelBytes)) };
}

export function pullResources(release: Sized): NonNullable<V1Container["resources"]> {
  const { modelBytes } = release;
  const requests = { cpu: "50m", memory: "128Mi" };
  // What a container writes to a volume in memory counts as its memory, not as storage.
  if (modelBytes === undefined || isInMemory(release)) return { requests };
  return {
    // The scheduler chooses a node with room for the model.
    requests: { ...requests, "ephemeral-storage": mebibytes(bounded(modelBytes)) },
    limits: {
      "ephemeral-storage": mebibytes(volumeBytes(modelBytes) + POD_SLACK),
      memory: PULL_MEMORY,
    },
  };
}

export function bounded(bytes: number): number {
  return Math.min(bytes, MAX_MODEL_BYTES);
}

function volumeBytes(bytes: number): number {
  return 2 * bounded(bytes) + VOLUME_SLACK;
}

/** Rounded up, and never none. */
export function mebibytes(bytes: number): string {
  return `${Math.max(1, Math.ceil(bytes / MIB))}Mi`;
}

/** Whether spec.podTemplate puts the model's volume into memory (tmpfs, huge pages). It is merged unchecked. */
export function isInMemory({ inputs }: Pick<Sized, "inputs">): boolean {
  const volumes = itemsOf(memberOf(memberOf(inputs.podTemplate, "spec"), "volumes"));
  const model = volumes.find((volume) => memberOf(volume, "name") === "model");
  return Boolean(memberOf(memberOf(model, "emptyDir"), "medium"));
}
