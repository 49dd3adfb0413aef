import { describe, expect, it } from "vitest";

import { MANAGER } from "../../crds/names.ts";
import type { KubernetesObject, V1Deployment, V1Pod } from "../kube/types.ts";
import { projectApp, projectDeployment, projectObject, projectPod } from "./projections.ts";

const lastApplied = { "kubectl.kubernetes.io/last-applied-configuration": "{…}" };
const identity = { namespace: "shop", name: "cats", uid: "u", resourceVersion: "1" };

describe("what is stored of an object", () => {
  it("lacks managedFields and the copies of it in annotations, and nothing else", () => {
    const object = {
      metadata: {
        ...identity,
        annotations: { ...lastApplied, note: "kept" },
        managedFields: [{ manager: "kubectl", fieldsV1: { "f:spec": {} } }],
      },
      spec: { type: "ClusterIP" },
    };
    expect(projectObject(object)).toEqual({
      metadata: { ...identity, annotations: { note: "kept" } },
      spec: { type: "ClusterIP" },
    });
  });

  it("of a Deployment includes who owns spec.replicas", () => {
    const time = "2026-03-01T08:00:00Z";
    const deployment = {
      metadata: {
        ...identity,
        managedFields: [
          {
            manager: MANAGER,
            operation: "Apply",
            time,
            fieldsV1: { "f:spec": { "f:replicas": {}, "f:template": { "f:spec": {} } } },
          },
          {
            manager: "controller-manager",
            subresource: "status",
            fieldsV1: { "f:status": { "f:replicas": {} } },
          },
        ],
      },
      spec: { replicas: 2, selector: {}, template: {} },
    } as unknown as V1Deployment;
    expect(projectDeployment(deployment)).toEqual({
      ...deployment,
      metadata: {
        ...identity,
        managedFields: [
          {
            manager: MANAGER,
            operation: "Apply",
            time,
            fieldsV1: { "f:spec": { "f:replicas": {} } },
          },
        ],
      },
    });
  });

  it("of an AIApp includes who set which of our annotations, and when", () => {
    const time = "2026-03-01T08:00:00Z";
    const app = {
      metadata: {
        ...identity,
        annotations: { ...lastApplied, "aiapp.dev/requestedAt": "1", other: "2" },
        managedFields: [
          {
            manager: "kubectl-annotate",
            operation: "Update",
            time,
            fieldsV1: {
              "f:metadata": { "f:annotations": { "f:aiapp.dev/requestedAt": {}, "f:other": {} } },
              "f:spec": {},
            },
          },
          { manager: MANAGER, subresource: "status", fieldsV1: { "f:status": {} } },
          { manager: "empty" },
        ],
      },
      spec: { image: "a" },
      status: { url: "b" },
    } as unknown as KubernetesObject;
    expect(projectApp(app)).toEqual({
      metadata: {
        ...identity,
        annotations: { "aiapp.dev/requestedAt": "1", other: "2" },
        managedFields: [
          {
            manager: "kubectl-annotate",
            operation: "Update",
            time,
            fieldsV1: { "f:metadata": { "f:annotations": { "f:aiapp.dev/requestedAt": {} } } },
          },
        ],
      },
      spec: { image: "a" },
      status: { url: "b" },
    });
  });

  it("of a pod is whose it is, where it runs, and why it does not serve", () => {
    const container = {
      name: "server",
      image: "cats:1",
      imageID: "",
      ready: false,
      restartCount: 3,
      state: { waiting: { reason: "CrashLoopBackOff" } },
      lastState: { terminated: { exitCode: 1 } },
    };
    const pod = {
      apiVersion: "v1",
      kind: "Pod",
      metadata: {
        ...identity,
        labels: { app: "cats" },
        annotations: { large: "…" },
        ownerReferences: [{ apiVersion: "apps/v1", kind: "ReplicaSet", name: "cats", uid: "r" }],
        managedFields: [{ manager: "kubelet" }],
      },
      spec: { nodeName: "node", containers: [{ name: "server", image: "cats:1" }], volumes: [] },
      status: {
        phase: "Running",
        podIP: "10.0.0.1",
        hostIP: "10.1.0.1",
        conditions: [{ type: "Ready", status: "False", lastProbeTime: null }],
        containerStatuses: [{ ...container, volumeMounts: [{ name: "models" }] }],
      },
    } as unknown as V1Pod;
    const { annotations: _, managedFields: __, ...metadata } = pod.metadata ?? {};
    expect(projectPod(pod)).toEqual({
      apiVersion: "v1",
      kind: "Pod",
      metadata,
      spec: { nodeName: "node", containers: [] },
      status: {
        phase: "Running",
        podIP: "10.0.0.1",
        conditions: [{ type: "Ready", status: "False" }],
        containerStatuses: [container],
      },
    });
  });
});
