import type { AIAppStatus, ReleaseStatus } from "../../crds/aiapp/status.ts";
import { AIApp } from "../../crds/aiapp/aiapp.ts";

const hex = "0123456789abcdef".repeat(4);

/** A release of model version `version`, with an id that shows it. */
export function release(version: string, change: Partial<ReleaseStatus> = {}): ReleaseStatus {
  return {
    id: version.repeat(10).slice(0, 10),
    image: "contoso.azurecr.io/digits:1",
    imageTag: "1",
    imageDigest: `sha256:${hex}`,
    modelVersion: version,
    modelDigest: `sha256:${version}${hex.slice(1)}`,
    since: `2026-01-02T0${version}:00:00Z`,
    phase: "Released",
    ...change,
  };
}

interface Parts {
  readonly status?: Partial<AIAppStatus>;
  readonly spec?: Record<string, unknown>;
  readonly annotations?: Record<string, string>;
}

/** As the API server returns it. */
export function appObject({ status, spec, annotations }: Parts): Record<string, unknown> {
  return {
    apiVersion: "aiapp.dev/v1alpha1",
    kind: "AIApp",
    metadata: {
      name: "digits",
      namespace: "shop",
      uid: "u",
      generation: 2,
      ...(annotations && { annotations }),
    },
    spec: {
      image: "contoso.azurecr.io/digits:1",
      modelVersion: "latest",
      model: { store: "https://contoso.blob.core.windows.net/models", name: "digits" },
      ...spec,
    },
    status: { observedGeneration: 2, ...status },
  };
}

export function appWith(parts: Parts): AIApp {
  return AIApp.parse(appObject(parts));
}

/** Release 1 was followed by release 2, which serves. */
export const two = {
  current: release("2"),
  previous: release("1"),
  history: [release("2"), release("1")],
} satisfies Partial<AIAppStatus>;

/** The same with release 3 on its way, in a phase. */
export function withCandidate(
  phase: ReleaseStatus["phase"],
): Partial<AIAppStatus> & { readonly candidate: ReleaseStatus } {
  const candidate = release("3", { phase });
  return { ...two, candidate, history: [candidate, ...two.history] };
}

/** The same after release 3 has failed; the sources still have it. */
export function withFailure(): Partial<AIAppStatus> {
  const failed = release("3", {
    phase: "Failed",
    reason: "VerificationFailed",
    message: "samples/1.json: expected 1, got 2",
  });
  const { id, reason = "", message = "", since } = failed;
  return {
    ...two,
    history: [failed, ...two.history],
    quarantined: [{ id, reason, message, since }],
    sources: {
      image: { reference: failed.image, digest: failed.imageDigest },
      model: { reference: "digits", seen: "3", digest: failed.modelDigest },
    },
  };
}
