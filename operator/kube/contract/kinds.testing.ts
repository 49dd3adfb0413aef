import { describe, expect, it } from "vitest";

import { kinds, type V1Deployment } from "../types.ts";
import {
  namespace,
  theirs,
  signal,
  uidOf,
  managerOf,
  refused,
  type Fields,
  type Cases,
} from "./cases.testing.ts";

export function describeKinds(t: Cases): void {
  const { own, apply, object, deployment } = t;

  describe("a Deployment's status", () => {
    const status = {
      observedGeneration: 1,
      replicas: 1,
      readyReplicas: 1,
      conditions: [{ type: "Available", status: "True", reason: "MinimumReplicasAvailable" }],
    };

    it("is patched and replaced by itself, and left alone by an apply", async () => {
      await apply(kinds.deployment, deployment());
      const patched = await t.kube.patch<V1Deployment>(
        kinds.deployment,
        namespace,
        own(),
        { spec: { replicas: 7 }, status },
        { subresource: "status" },
        signal,
      );
      expect(patched).toMatchObject({ spec: { replicas: 1 }, status });
      const replaced = await t.kube.replace(
        kinds.deployment,
        {
          ...patched,
          spec: { ...patched.spec, replicas: 7 },
          status: { ...status, replicas: 2 },
        } as V1Deployment,
        { subresource: "status" },
        signal,
      );
      expect(replaced).toMatchObject({ spec: { replicas: 1 }, status: { replicas: 2 } });
      const applied = await apply(kinds.deployment, {
        ...deployment({ replicas: 2 }),
        status: {},
      });
      expect(applied).toMatchObject({
        metadata: { generation: 2 },
        spec: { replicas: 2 },
        status: { ...status, replicas: 2 },
      });
      expect(managerOf(applied, "ours")).not.toHaveProperty("f:status");
    });
  });
  describe("a Service", () => {
    const spec = (fields: Fields = {}): Fields => ({
      spec: {
        selector: { app: own() },
        ports: [{ name: "http", port: 80, targetPort: "http", protocol: "TCP" }],
        ...fields,
      },
    });

    it("gets its address and its node port, and keeps them", async () => {
      const made = await apply(kinds.service, spec({ type: "LoadBalancer" }));
      expect(made.spec).toMatchObject({
        type: "LoadBalancer",
        sessionAffinity: "None",
        ipFamilyPolicy: "SingleStack",
        ipFamilies: ["IPv4"],
        internalTrafficPolicy: "Cluster",
        externalTrafficPolicy: "Cluster",
        allocateLoadBalancerNodePorts: true,
      });
      expect(made.status).toEqual({ loadBalancer: {} });
      const { clusterIP } = made.spec ?? {};
      expect(clusterIP).toMatch(/^10\./);
      expect(made.spec?.clusterIPs).toEqual([clusterIP]);
      const [port] = made.spec?.ports ?? [];
      expect(port?.nodePort).toBeGreaterThanOrEqual(30_000);
      const changed = await apply(
        kinds.service,
        spec({ type: "LoadBalancer", sessionAffinity: "ClientIP" }),
      );
      expect(changed.spec).toMatchObject({ clusterIP, ports: [port] });
      await refused(
        apply(kinds.service, spec({ type: "LoadBalancer", clusterIP: "10.0.0.250" })),
        "KUBE_INVALID",
      );
    });

    it("has no node port when it is internal", async () => {
      const made = await apply(kinds.service, spec());
      expect(made.spec).toMatchObject({ type: "ClusterIP" });
      expect(made.spec?.ports).toEqual([
        { name: "http", port: 80, targetPort: "http", protocol: "TCP" },
      ]);
      expect(made.spec).not.toHaveProperty("externalTrafficPolicy");
      const external = await apply(kinds.service, spec({ type: "LoadBalancer" }));
      expect(external.spec?.ports?.[0]?.nodePort).toBeGreaterThanOrEqual(30_000);
      const internal = await apply(kinds.service, spec({ type: "ClusterIP" }));
      expect(internal.spec).toEqual({ ...made.spec, type: "ClusterIP" });
    });

    it("merges its ports by port and protocol", async () => {
      await apply(kinds.service, spec());
      const both = await apply(
        kinds.service,
        { spec: { ports: [{ name: "metrics", port: 9090 }] } },
        theirs,
      );
      expect(both.spec?.ports).toMatchObject([{ port: 80 }, { port: 9090, targetPort: 9090 }]);
      const moved = await apply(kinds.service, {
        spec: { selector: { app: own() }, ports: [{ name: "http", port: 8080 }] },
      });
      expect(moved.spec?.ports?.map(({ port }) => port).toSorted()).toEqual([8080, 9090]);
    });
  });
  describe("the other kinds that the operator owns", () => {
    it("are made as they are described", async () => {
      const budget = await apply(kinds.podDisruptionBudget, {
        spec: {
          maxUnavailable: 1,
          unhealthyPodEvictionPolicy: "AlwaysAllow",
          selector: { matchLabels: { app: own() } },
        },
      });
      expect(budget).toMatchObject({
        metadata: { generation: 1 },
        spec: { maxUnavailable: 1, selector: { matchLabels: { app: own() } } },
      });
      const autoscaler = await apply(kinds.horizontalPodAutoscaler, {
        spec: {
          scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: own() },
          maxReplicas: 3,
          metrics: [
            {
              type: "Resource",
              resource: { name: "cpu", target: { type: "Utilization", averageUtilization: 70 } },
            },
          ],
        },
      });
      expect(autoscaler.spec).toMatchObject({ minReplicas: 1, maxReplicas: 3 });
      expect(await apply(kinds.podDisruptionBudget, { spec: budget.spec })).toEqual(budget);
    });

    it("include a Job, which gets its selector and keeps its template", async () => {
      const job = (image: string): Fields => ({
        spec: {
          backoffLimit: 0,
          template: {
            spec: { restartPolicy: "Never", containers: [{ name: "verify", image }] },
          },
        },
      });
      const made = await apply(kinds.job, job("registry.local/verify:1"));
      const labels = { "batch.kubernetes.io/controller-uid": uidOf(made) };
      expect(made).toMatchObject({
        metadata: { generation: 1 },
        spec: {
          backoffLimit: 0,
          completions: 1,
          parallelism: 1,
          completionMode: "NonIndexed",
          suspend: false,
          selector: { matchLabels: labels },
          template: {
            metadata: { labels: { ...labels, "batch.kubernetes.io/job-name": own() } },
          },
        },
      });
      expect(await apply(kinds.job, job("registry.local/verify:1"))).toMatchObject({
        metadata: { generation: 1, labels: made.metadata?.labels },
        spec: made.spec,
      });
      await refused(apply(kinds.job, job("registry.local/verify:2")), "KUBE_INVALID");
    });

    it("include ReplicaSets and pods, as the controllers would make them", async () => {
      const owner = await apply(kinds.deployment, deployment());
      const ownerReferences = [
        {
          apiVersion: "apps/v1",
          kind: "Deployment",
          name: own(),
          uid: uidOf(owner),
          controller: true,
        },
      ];
      const labels = { app: own() };
      const made = await t.kube.create(
        kinds.replicaSet,
        object(kinds.replicaSet, deployment(), { ownerReferences, labels }),
        signal,
      );
      expect(made.metadata?.ownerReferences).toEqual(ownerReferences);
      const pod = await t.kube.create(
        kinds.pod,
        object(
          kinds.pod,
          { spec: { containers: [{ name: "server", image: "registry.local/cats:1" }] } },
          { labels },
        ),
        signal,
      );
      expect(pod.status?.phase).toBe("Pending");
      const running = await t.kube.patch<typeof pod>(
        kinds.pod,
        namespace,
        own(),
        {
          status: {
            phase: "Running",
            conditions: [{ type: "Ready", status: "True" }],
          },
        },
        { subresource: "status" },
        signal,
      );
      expect(running.status).toMatchObject({
        phase: "Running",
        conditions: [{ type: "Ready", status: "True" }],
      });
      const listed = await t.kube.list(
        kinds.pod,
        { namespace, labelSelector: `app=${own()}` },
        signal,
      );
      expect(listed.items).toEqual([running]);
    });
  });
}
