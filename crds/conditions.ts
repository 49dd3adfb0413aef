/** Condition types and reasons of an AIApp. `Reconciling` and `Stalled` are present only while True (kstatus). */

export const conditionTypes = [
  /** Serving what it should. Stays True while a newer candidate fails and the stable release serves. */
  "Ready",
  /** Some replica serves. */
  "Available",
  /** The newest pair is fully rolled out. */
  "Released",
  /** Both polls work. */
  "SourcesReady",
  /** A pod of the current or the previous release that restarts on another node would find its image, its model and its pull image. */
  "Recoverable",
  /** Webhooks take their notifications. Only with spec.notifications; says nothing about what serves. */
  "Notified",
  /** The autoscaler can compute the number of pods. Present only with spec.autoscaling. */
  "Autoscaling",
  "Reconciling",
  "Stalled",
] as const;
export type ConditionType = (typeof conditionTypes)[number];

/** Why the pods of a rollout do not come up. */
export const podReasons = [
  "ImagePullFailed",
  "ModelPullFailed",
  "ModelChecksumMismatch",
  "ModelLoadFailed",
  "PodsRejected",
  "PodUnschedulable",
  "PodOutOfMemory",
  "PodCrashing",
  "PodNotReady",
] as const;

/** How a verification fails, beside what its pod may fail with. */
export const verificationReasons = [
  "VerificationFailed",
  "VerificationTimedOut",
  "SamplesInvalid",
] as const;

export const reasons = [
  // what goes well
  "Released",
  "Serving",
  "Polled",
  "MinimumReplicasAvailable",
  "Settling",
  "Verifying",
  "AwaitingApproval",
  "Scheduled",
  "Frozen",
  "RollingOut",
  "RolloutPaused",
  "Progressing",
  "Suspended",
  "WaitingForSources",
  "NoReplicas",
  "MinimumReplicasUnavailable",
  // the registry
  "ImageNotFound",
  "TooManyTags",
  "RegistryAuthFailed",
  "RegistryThrottled",
  "RegistryUnavailable",
  "RegistryUnexpectedResponse",
  // the store
  "ModelNotFound",
  "ModelIncomplete",
  "ModelMutated",
  "StorageAuthFailed",
  "StorageThrottled",
  "StorageUnavailable",
  "StorageUnexpectedResponse",
  "AmbiguousVersions",
  "DowngradeRefused",
  "BadManifest",
  // by hand
  "Held",
  "HoldInvalid",
  "Aborted",
  // a recorded release
  "Recoverable",
  "Kept",
  "ImageGone",
  "ModelGone",
  "PullImageGone",
  // either
  "SecretNotFound",
  "SecretInvalid",
  "HostNotAllowed",
  "NotAllowedByPolicy",
  "NamespaceLimit",
  "CredentialsMissing",
  ...podReasons,
  ...verificationReasons,
  "ProgressDeadlineExceeded",
  "CanaryWorse",
  // notifications
  "NotificationsDelivered",
  "NotificationFailed",
  // the autoscaler
  "ScalingActive",
  "ScalingInactive",
  // the cluster
  "PodsDisrupted",
  "UnmanagedEntries",
  "FieldsOverridden",
  "NameConflict",
  "ApplyRefused",
  "InvalidSpec",
] as const;
export type Reason = (typeof reasons)[number];
