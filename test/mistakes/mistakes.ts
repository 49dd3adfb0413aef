/** A mistake that an operator like this one has been known to make, and the test that must find it. */
export interface Mistake {
  readonly name: string;
  readonly file: string;
  /** Occurs once in the file, and becomes `to`. */
  readonly from: string;
  readonly to: string;
  readonly test: {
    readonly file: string;
    /** Part of its title. */
    readonly title: string;
    /** Of crash.test.ts: every fault of one kind, instead of a sample of all. */
    readonly faults?: "crash" | "pause" | "staleness";
  };
}

const CRASH = "operator/aiapp/shell/crash.test.ts";
const APPS = "operator/aiapp/shell/apps.test.ts";
const SAFETY = "operator/aiapp/release/safety.test.ts";

export const mistakes: readonly Mistake[] = [
  {
    name: "the Deployment is written before the record that it refers to",
    file: "operator/aiapp/plan.ts",
    from: `      ...releases.actions,
      ...(mayWrite ? applyWorkloads(observed, workloads) : []),`,
    to: `      ...(mayWrite ? applyWorkloads(observed, workloads) : []),
      ...releases.actions,`,
    test: { file: CRASH, title: "a bump of the model" },
  },
  {
    name: "a process decides on a cache that does not show its own writes yet",
    file: "operator/aiapp/written-records.ts",
    from: "if (app === undefined) return cached;",
    to: "if (app === undefined || now >= 0) return cached;",
    test: { file: CRASH, title: "a bump of the model", faults: "staleness" },
  },
  {
    name: "a process that stood still overwrites the journal of the leader after it",
    file: "operator/aiapp/release/record.ts",
    from: `      uid,
      ...(resourceVersion !== undefined && { resourceVersion }),
      annotations`,
    to: `      uid,
      annotations`,
    test: { file: CRASH, title: "a bump of the model", faults: "pause" },
  },
  {
    name: "a release begins its rollout without a verification",
    file: "operator/aiapp/release/gates.ts",
    from: "spec.verify?.enabled === false || (record !== undefined && isPassed(record))",
    to: "true",
    test: { file: CRASH, title: "a verification fails" },
  },
  {
    name: "a rollout whose pods crash is not undone",
    file: "operator/aiapp/release/advance.ts",
    from: "fault !== undefined && !fault.isInfrastructure && stable !== undefined",
    to: "fault !== undefined && !fault.isInfrastructure && stable === undefined",
    test: { file: SAFETY, title: "is undone to the stable release" },
  },
  {
    name: "a release that has failed is tried again after a while",
    file: "operator/aiapp/release/choose.ts",
    from: 'if (record === undefined || phaseOf(record) !== "Failed") return undefined;',
    to: "return undefined;",
    test: { file: CRASH, title: "a verification fails" },
  },
  {
    name: "the innocent half is blamed",
    file: "operator/aiapp/release/choose.ts",
    from: 'if (newModel.state === "good") return half(newModel, "image");',
    to: 'if (newModel.state === "good") return half(newModel, "model");',
    test: { file: SAFETY, title: "two hundred seeded faults" },
  },
  {
    name: "a fault of the infrastructure quarantines a release",
    file: "operator/aiapp/release/advance.ts",
    from: 'verification?.kind === "failed" && !verification.fault.isInfrastructure',
    to: 'verification?.kind === "failed"',
    test: { file: SAFETY, title: "is verified again after a fault of the infrastructure" },
  },
  {
    name: "the verdict of an earlier attempt decides about the present one",
    file: "operator/aiapp/steps/verification.ts",
    from: "metadata?.labels?.[labels.release] === candidate.id &&\n    metadata",
    to: "metadata?.labels?.[labels.release] === candidate.id ||\n    metadata",
    test: { file: CRASH, title: "a verification fails for want", faults: "staleness" },
  },
  {
    name: "automation moves past a rollback by hand",
    file: "operator/aiapp/release/choose.ts",
    from: "if (intents.hold !== undefined) return",
    to: "if (intents.hold !== undefined && requested?.id === ledger.stable?.id) return",
    test: { file: SAFETY, title: "a hold goes back at once" },
  },
  {
    name: "the number of pods is taken back from the autoscaler",
    file: "operator/aiapp/strategies/strategy.ts",
    from: "return exists ? undefined : autoscaling.minReplicas;",
    to: "return autoscaling.minReplicas;",
    test: { file: "operator/aiapp/plan.test.ts", title: "is the autoscaler's" },
  },
  {
    name: "half of a change is released before the other half is polled again",
    file: "operator/aiapp/steps/pair.ts",
    from: "if (polls.length > 0) {",
    to: "if (polls.length > 2) {",
    test: { file: "operator/aiapp/plan.test.ts", title: "is released together" },
  },
  {
    name: "a webhook is notified of a phase before the journal has it",
    file: "operator/aiapp/reconcile.ts",
    from: "    const rejection = await this.#execute(key, made, signal);\n    if (rejection === undefined) {",
    to: "    notifier.deliver(key, made.deliveries);\n    const rejection = await this.#execute(key, made, signal);\n    if (rejection === undefined) {",
    test: { file: CRASH, title: "a webhook is notified", faults: "pause" },
  },
  {
    name: "an event of one app is counted in that of another",
    file: "operator/runtime/recorder.ts",
    from: "JSON.stringify([about.metadata?.uid, note])",
    to: "JSON.stringify([note])",
    test: { file: APPS, title: "seed 4" },
  },
  {
    name: "each app polls a shared source for itself",
    file: "operator/aiapp/resolve-sources.ts",
    from: "return imageSource(tools.registry, { image, policy }, identity, slices);",
    to: "return { ...imageSource(tools.registry, { image, policy }, identity, slices), key: app.metadata.uid };",
    test: { file: APPS, title: "seed 4" },
  },
  {
    name: "the claim of one app to a copy replaces those of others",
    file: "operator/sources/keep/claims.ts",
    from: "[...inForce, [name, now] as const]",
    to: "[[name, now] as const]",
    test: { file: APPS, title: "seed 4" },
  },
  {
    name: "a copy that an app claims is swept",
    file: "operator/sources/keep/sweep.ts",
    from: "isUnclaimed(manifest.metadata, now) ? [manifest, ...rest] : []",
    to: "[manifest, ...rest]",
    test: { file: APPS, title: "seed 4" },
  },
  {
    name: "a delivery to the webhook of one app counts for another",
    file: "operator/notify/notifier.ts",
    from: "return `${app}/${name} ${eventId}`;",
    to: "return `${name} ${eventId}`;",
    test: { file: CRASH, title: "whatever happens to its neighbour" },
  },
];
