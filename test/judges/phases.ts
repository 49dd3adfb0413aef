import { annotations, labels } from "../../crds/names.ts";
import { refusedStatus } from "../../operator/aiapp/conditions/refused.ts";
import { digestOf, World, type SpecInput } from "../../operator/aiapp/observed.testing.ts";
import { phaseOf } from "../../operator/aiapp/release/ledger.ts";
import { kinds } from "../../operator/kube/types.ts";

/** An AIApp in each state that other tools judge, made by the operator's own decisions. */

/** What brought the candidate about. */
export type Change =
  /** Nothing serves before it. */
  "first" | "spec" | "polling";

export const changes = ["first", "spec", "polling"] as const satisfies readonly Change[];

/** What the candidate of an app is doing: phases of a release, and what disturbs them. */
export const candidateStates = [
  "Settling",
  "Verifying",
  "AwaitingApproval",
  "Scheduled",
  "Frozen",
  "RollingOut",
  "Released",
  "Failed",
  "PodsRejected",
  "RolloutPaused",
  "Suspended",
] as const;
export type CandidateState = (typeof candidateStates)[number];

/** An AIApp as the API server returns it. */
export type AppObject = Readonly<Record<string, unknown>>;

const releases: Partial<Record<CandidateState, SpecInput["release"]>> = {
  Settling: { settle: "10m" },
  AwaitingApproval: { approval: "Manual" },
  // Not now: the world begins in March 2026.
  Scheduled: { schedule: "0 0 1 1 *" },
};

const QUOTA = 'pods "cats-1" is forbidden: exceeded quota: q, requested: limits.cpu=1';

/** An app whose candidate, brought about by `change`, is in `state`; undefined where that cannot be. */
export function candidateIn(state: CandidateState, change: Change): AppObject | undefined {
  // The first release waits for no window.
  if (state === "Scheduled" && change === "first") return undefined;
  const on = change === "first" ? first(state) : second(state, change);
  advance(on, state);
  return objectOf(on);
}

function specOf(state: CandidateState): SpecInput {
  const release = releases[state];
  return {
    verify: {},
    // Bad halves are not looked for: that is another candidate.
    release: { onFailure: "Keep", ...release },
  };
}

function first(state: CandidateState): World {
  return new World(specOf(state)).poll();
}

function second(state: CandidateState, change: "spec" | "polling"): World {
  const on = new World({ verify: {}, ...(change === "spec" && { modelVersion: "1" }) });
  on.poll().converge();
  const spec = specOf(state);
  if (change === "polling") {
    // The spec that the first release was chosen for is the one of now.
    on.change(spec);
    on.poll().converge();
  } else on.change({ ...spec, modelVersion: "2" });
  on.publish({ version: "2", model: digestOf("model 2") });
  return on.poll();
}

function advance(on: World, state: CandidateState): void {
  switch (state) {
    case "Settling":
    case "Verifying":
      on.reconcile();
      break;
    case "AwaitingApproval":
    case "Scheduled":
      on.reconcile();
      on.verify().reconcile();
      break;
    case "Frozen":
      on.freezes = [
        {
          name: "holidays",
          reason: "no engineer is on call",
          selector: {},
          time: { type: "Once", from: Number.NEGATIVE_INFINITY, until: Number.POSITIVE_INFINITY },
        },
      ];
      on.reconcile();
      on.verify().reconcile();
      break;
    case "RollingOut":
    case "PodsRejected":
    case "RolloutPaused":
      on.reconcile();
      on.verify().reconcile();
      on.beginRollout();
      if (!hasReleased(on))
        Object.assign(on.get(kinds.deployment)?.status ?? {}, { availableReplicas: 0 });
      if (state === "PodsRejected") rejectPods(on);
      if (state === "RolloutPaused")
        Object.assign(on.get(kinds.deployment)?.spec ?? {}, { paused: true });
      break;
    case "Released":
      on.converge();
      break;
    case "Failed":
      on.judge = () => "VerificationFailed: samples/1.json: result[0]: expected 1, got 2";
      on.converge();
      break;
    case "Suspended":
      on.change({ suspend: true });
      break;
  }
}

function hasReleased({ records }: World): boolean {
  return records.some((record) => phaseOf(record) === "Released");
}

/** The API server takes none of the pods of the rollout. */
function rejectPods(on: World): void {
  Object.assign(on.get(kinds.deployment)?.status ?? {}, {
    conditions: [{ type: "ReplicaFailure", status: "True", message: QUOTA }],
  });
}

/** The next release is verified, and the API server takes no pod of its Job. */
function verificationRejected(on: World): AppObject {
  on.publish({ version: "2", model: digestOf("model 2") });
  on.poll().reconcile();
  on.rejectedPods = QUOTA;
  return objectOf(on);
}

function released(spec: SpecInput = {}): World {
  return new World({ verify: {}, ...spec }).poll().converge();
}

/** States that no candidate explains. */
export const otherStates = {
  "not reconciled yet": () => {
    const on = new World();
    return { ...objectOf(on), status: { observedGeneration: -1 } };
  },
  "a change of the spec that is not reconciled yet": () => {
    const on = released();
    const object = objectOf(on);
    on.change({ replicas: 2 });
    return { ...object, metadata: on.app.metadata };
  },
  "the first poll pending": () => objectOf(new World()),
  "sources failing before anything serves": () => {
    const on = new World().poll("image");
    on.fail("model", "MODEL_NOT_FOUND", "cats/ holds no version: publish one");
    return objectOf(on);
  },
  "sources throttled before anything serves": () => {
    const on = new World().poll("image");
    on.fail("model", "STORAGE_THROTTLED", "the store asks to wait");
    return objectOf(on);
  },
  "sources failing while a release serves": () => {
    const on = released();
    on.fail("model", "STORAGE_AUTH_FAILED", "the store refuses the key");
    return objectOf(on);
  },
  "the operator restarted, nothing polled yet": () => {
    const on = released();
    on.forget();
    return objectOf(on);
  },
  "held, while polling finds another": () => {
    const on = released();
    on.annotate(annotations.hold, on.deployedRelease);
    on.publish({ version: "2", model: digestOf("model 2") });
    on.poll().converge();
    return objectOf(on);
  },
  "held, while the spec asks for another": () => {
    const on = released({ modelVersion: "1" });
    on.annotate(annotations.hold, on.deployedRelease);
    on.change({ modelVersion: "2" });
    on.publish({ version: "2", model: digestOf("model 2") });
    on.poll().converge();
    return objectOf(on);
  },
  "a hold of a release that is not recorded": () => {
    const on = released();
    on.annotate(annotations.hold, "0123456789").converge();
    return objectOf(on);
  },
  "a name conflict before anything serves": () => {
    const on = new World().poll();
    on.occupy(kinds.deployment);
    return objectOf(on);
  },
  "an outage: the pods of the current release crash": () => {
    const on = released();
    on.crash();
    Object.assign(on.get(kinds.deployment)?.status ?? {}, { availableReplicas: 0 });
    return objectOf(on);
  },
  "an outage: no node has room": () => {
    const on = released();
    Object.assign(on.get(kinds.deployment)?.status ?? {}, { availableReplicas: 0 });
    on.pods = [
      {
        metadata: {
          name: "cats-1",
          labels: { [labels.release]: on.deployedRelease ?? "", [labels.role]: "stable" },
        },
        status: {
          conditions: [
            { type: "PodScheduled", status: "False", reason: "Unschedulable", message: "0/3" },
          ],
        },
      },
    ];
    return objectOf(on);
  },
  "scaled to zero": () => objectOf(released({ replicas: 0 })),
  "pods of a verification rejected, after a change of the spec": () => {
    const on = released({ modelVersion: "1" });
    on.change({ modelVersion: "2" });
    return verificationRejected(on);
  },
  "pods of a verification rejected, found by polling": () => verificationRejected(released()),
  "an object that the API server rejects": () => {
    const on = released();
    on.reconcile();
    const { status } = on.plan();
    return objectOf(on, refusedStatus(status, on.app.status, "env: too long", on.now));
  },
  deleted: () => {
    const object = objectOf(released());
    const deletionTimestamp = "2026-03-01T09:00:00Z";
    return { ...object, metadata: { ...Object(object["metadata"]), deletionTimestamp } };
  },
} as const satisfies Readonly<Record<string, () => AppObject>>;
export type OtherState = keyof typeof otherStates;

function objectOf(on: World, status: unknown = on.plan().status): AppObject {
  return { ...on.app, status };
}
