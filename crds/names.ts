/** Names of the API and everything derived from an AIApp's name: deterministic, so that a stale cache is harmless. */

export const GROUP = "aiapp.dev";
export const VERSION = "v1alpha1";
export const API_VERSION = `${GROUP}/${VERSION}`;
export const KIND = "AIApp";
export const PLURAL = "aiapps";
export const FREEZE_KIND = "AIAppReleaseFreeze";
export const FREEZE_PLURAL = "aiappreleasefreezes";
export const POLICY_KIND = "AIAppSourcePolicy";
export const POLICY_PLURAL = "aiappsourcepolicies";

/** The field manager of every server-side apply, and the value of the managed-by label. */
export const MANAGER = "aiapp-operator";

export const labels = {
  name: "app.kubernetes.io/name",
  managedBy: "app.kubernetes.io/managed-by",
  /** On every owned object and pod: the AIApp's name. Selects the pods of an app. */
  app: `${GROUP}/app`,
  /** On every pod: the id of the release that made it. */
  release: `${GROUP}/release`,
  /** On every pod: `stable`, or the part that it plays in a release. Selectors of Deployments name it. */
  role: `${GROUP}/role`,
  /** On every pod: `true` while the Service sends it requests. */
  traffic: `${GROUP}/traffic`,
} as const;

export const annotations = {
  /** Any new value means "poll and reconcile now"; `status.lastHandledReconcileAt` echoes handled values. */
  requestedAt: `${GROUP}/requestedAt`,
  /** Names the release that may be rolled out (release.approval: Manual). */
  approve: `${GROUP}/approve`,
  /** Names the release that is to run, whatever the sources show, until the annotation is removed. */
  hold: `${GROUP}/hold`,
  /** Names the failed release that is to be tried again: `<id>`, or `<id>/<anything new>` to try it once more. */
  retry: `${GROUP}/retry`,
  /** Names the release under way that is to be given up. */
  abort: `${GROUP}/abort`,
  /** Names the release that waits for nothing: no window, no minimum age. */
  releaseNow: `${GROUP}/release-now`,
  /** On an AIApp: the names of the freezes that its releases need not wait for, separated by commas. */
  overrideFreeze: `${GROUP}/override-freeze`,
  /** On an object that no other object controls: the name of the AIApp that may take it over. */
  adopt: `${GROUP}/adopt`,
  /** On the Job that verifies a release: which attempt it is. */
  attempt: `${GROUP}/attempt`,
  /** On a Deployment that has one pod less, so that a verification has its place: the release that is verified. */
  givesPlaceTo: `${GROUP}/gives-place-to`,
  /** On owned objects: a hash of what was applied, so that a field that is no longer wanted is noticed. */
  applied: `${GROUP}/applied`,
  /** On every pod: the version folder. */
  modelVersion: `${GROUP}/model-version`,
  /** On a release's record: what the image is called now. Tags move, and are no part of a release. */
  image: `${GROUP}/image`,
  /** On a release's record: the phases that it went through, as JSON. */
  journal: `${GROUP}/journal`,
  /** On a release's record: a hash of what the spec asked for when the release was chosen last. */
  request: `${GROUP}/request`,
} as const;

/** A Service name is a DNS-1035 label; `-<release id>` (11) is the longest suffix that we add to one. */
export const MAX_NAME_LENGTH = 52;

export const MODEL_MOUNT_PATH = "/models";

export const containers = {
  server: "server",
  pull: "model-pull",
  samples: "samples",
  job: "verify",
} as const;

/** The Deployment of the second set of pods, where a strategy has two. */
export function candidateName(app: string): string {
  return `${app}-candidate`;
}

/** The Job that verifies a release before it gets requests. */
export function verificationName(app: string): string {
  return `${app}-verify`;
}

/** The ControllerRevision that records a release, and the pod template that one rollout of it used. */
export function revisionName(app: string, releaseId: string, rendering: string): string {
  return `${app}-${releaseId}-${rendering}`;
}
