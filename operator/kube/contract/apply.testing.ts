import { describe, expect, it } from "vitest";

import { kinds, type V1Deployment } from "../types.ts";
import {
  namespace,
  ours,
  forced,
  theirs,
  signal,
  containerOf,
  versionOf,
  uidOf,
  managerOf,
  refused,
  type Fields,
  type Cases,
} from "./cases.testing.ts";

export function describeApply(t: Cases): void {
  const { own, apply, get, deployment } = t;

  describe("server-side apply", () => {
    it("makes an object, owned by its field manager, with the server's defaults", async () => {
      const made = await apply(kinds.deployment, deployment({ replicas: 2 }));
      expect(made).toMatchObject({
        metadata: { generation: 1 },
        spec: {
          replicas: 2,
          revisionHistoryLimit: 10,
          progressDeadlineSeconds: 600,
          strategy: {
            type: "RollingUpdate",
            rollingUpdate: { maxSurge: "25%", maxUnavailable: "25%" },
          },
        },
      });
      expect(managerOf(made, "ours")).toEqual({
        "f:spec": {
          "f:replicas": {},
          "f:selector": {},
          "f:template": {
            "f:metadata": { "f:labels": { "f:app": {} } },
            "f:spec": {
              "f:containers": {
                'k:{"name":"server"}': { ".": {}, "f:image": {}, "f:name": {} },
              },
            },
          },
        },
      });
      expect(made.metadata?.managedFields?.[0]).toMatchObject({
        operation: "Apply",
        apiVersion: "apps/v1",
        fieldsType: "FieldsV1",
      });
    });

    it("changes nothing when all is so already, not even the version", async () => {
      const made = await apply(kinds.deployment, deployment());
      const again = await apply(kinds.deployment, deployment());
      expect(again).toEqual(made);
      expect(await get(kinds.deployment)).toEqual(made);
    });

    it("counts a generation for the spec alone", async () => {
      await apply(kinds.deployment, deployment());
      const labelled = await apply(kinds.deployment, deployment(), ours, { labels: { a: "b" } });
      expect(labelled.metadata?.generation).toBe(1);
      const scaled = await apply(kinds.deployment, deployment({ replicas: 3 }));
      expect(scaled.metadata?.generation).toBe(2);
      expect(scaled.metadata?.labels).toBeUndefined();
    });

    it("removes a field that its only owner leaves out, or sets it to its default", async () => {
      await apply(kinds.deployment, deployment({ replicas: 3, minReadySeconds: 5 }), ours, {
        annotations: { a: "1", b: "2" },
      });
      const left = await apply(kinds.deployment, deployment(), ours, { annotations: { b: "2" } });
      expect(left.spec).toMatchObject({ replicas: 1 });
      expect(left.spec).not.toHaveProperty("minReadySeconds");
      expect(left.metadata?.annotations).toEqual({ b: "2" });
    });

    it("leaves a field in place that another manager owns too", async () => {
      await apply(kinds.deployment, deployment({ replicas: 3 }));
      const shared = await apply(kinds.deployment, { spec: { replicas: 3 } }, theirs);
      expect(managerOf(shared, "theirs")).toEqual({ "f:spec": { "f:replicas": {} } });
      const left = await apply(kinds.deployment, deployment());
      expect(left.spec?.replicas).toBe(3);
      expect(managerOf(left, "ours")).not.toHaveProperty(["f:spec", "f:replicas"]);
    });

    it("refuses to change another manager's field, and takes it over by force", async () => {
      await apply(kinds.deployment, deployment({ replicas: 3 }));
      await refused(apply(kinds.deployment, { spec: { replicas: 4 } }, theirs), "KUBE_CONFLICT");
      expect((await get(kinds.deployment))?.spec?.replicas).toBe(3);
      const taken = await apply(
        kinds.deployment,
        { spec: { replicas: 4 } },
        { ...theirs, force: true },
      );
      expect(taken.spec?.replicas).toBe(4);
      expect(managerOf(taken, "ours")).not.toHaveProperty(["f:spec", "f:replicas"]);
      expect(managerOf(taken, "theirs")).toEqual({ "f:spec": { "f:replicas": {} } });
    });

    it("merges containers, variables, ports, volumes and mounts by their keys", async () => {
      const pod = (container: Fields, volumes: readonly Fields[]): Fields => ({
        spec: {
          selector: { matchLabels: { app: own() } },
          template: {
            metadata: { labels: { app: own() } },
            spec: {
              containers: [{ name: "server", image: "registry.local/cats:1", ...container }],
              volumes,
            },
          },
        },
      });
      await apply(
        kinds.deployment,
        pod(
          {
            env: [
              { name: "A", value: "1" },
              { name: "B", value: "2" },
            ],
            ports: [{ name: "http", containerPort: 8080 }],
            volumeMounts: [{ name: "model", mountPath: "/models" }],
          },
          [{ name: "model", emptyDir: {} }],
        ),
      );
      const other: Fields = {
        spec: {
          template: {
            spec: {
              containers: [
                {
                  name: "server",
                  env: [{ name: "C", value: "3" }],
                  ports: [{ name: "metrics", containerPort: 9090, protocol: "TCP" }],
                  volumeMounts: [{ name: "tmp", mountPath: "/tmp" }],
                },
                { name: "sidecar", image: "registry.local/sidecar:1" },
              ],
              volumes: [{ name: "tmp", emptyDir: {} }],
            },
          },
        },
      };
      const both = await apply(kinds.deployment, other, theirs);
      const spec = both.spec?.template.spec;
      expect(spec?.containers.map((one) => one.name)).toEqual(["server", "sidecar"]);
      expect(containerOf(both)).toMatchObject({
        env: [{ name: "A" }, { name: "B" }, { name: "C" }],
        ports: [{ containerPort: 8080, protocol: "TCP" }, { containerPort: 9090 }],
        volumeMounts: [{ mountPath: "/models" }, { mountPath: "/tmp" }],
      });
      expect(spec?.volumes?.map((one) => one.name)).toEqual(["model", "tmp"]);

      const left = await apply(kinds.deployment, pod({ env: [{ name: "B", value: "2" }] }, []));
      expect(containerOf(left)).toMatchObject({
        env: [
          { name: "B", value: "2" },
          { name: "C", value: "3" },
        ],
        ports: [{ containerPort: 9090 }],
        volumeMounts: [{ mountPath: "/tmp" }],
      });
      expect(left.spec?.template.spec?.volumes?.map((one) => one.name)).toEqual(["tmp"]);
      expect(left.spec?.template.spec?.containers).toHaveLength(2);
    });

    it("orders merged items as they are applied", async () => {
      const withEnv = (...names: readonly string[]): Fields =>
        deployment({}, { env: names.map((name) => ({ name, value: "1" })) });
      const names = (found: V1Deployment): unknown =>
        found.spec?.template.spec?.containers[0]?.env?.map(({ name }) => name);
      await apply(kinds.deployment, withEnv("A", "B", "C"));
      expect(names(await apply(kinds.deployment, withEnv("C", "A", "B")))).toEqual(["C", "A", "B"]);
      expect(names(await apply(kinds.deployment, withEnv("C", "D", "B")))).toEqual(["C", "D", "B"]);
    });

    it("fills in a container, its probes and its volumes", async () => {
      const made = await apply(
        kinds.deployment,
        deployment(
          {},
          {
            readinessProbe: { httpGet: { path: "/ready", port: "http" } },
            resources: { requests: { cpu: "0.5", memory: "1024Mi" }, limits: { cpu: 2 } },
            env: [
              { name: "EMPTY", value: "" },
              { name: "POD", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } },
            ],
            lifecycle: { preStop: { sleep: { seconds: 5 } } },
          },
        ),
      );
      expect(containerOf(made)).toEqual({
        name: "server",
        image: "registry.local/cats:1",
        imagePullPolicy: "IfNotPresent",
        terminationMessagePath: "/dev/termination-log",
        terminationMessagePolicy: "File",
        // Quantities are written back in their canonical form; an empty value is left out.
        resources: { requests: { cpu: "500m", memory: "1Gi" }, limits: { cpu: "2" } },
        env: [
          { name: "EMPTY" },
          {
            name: "POD",
            valueFrom: { fieldRef: { apiVersion: "v1", fieldPath: "metadata.name" } },
          },
        ],
        lifecycle: { preStop: { sleep: { seconds: 5 } } },
        readinessProbe: {
          httpGet: { path: "/ready", port: "http", scheme: "HTTP" },
          timeoutSeconds: 1,
          periodSeconds: 10,
          successThreshold: 1,
          failureThreshold: 3,
        },
      });
      expect(made.spec?.template.spec).toMatchObject({
        restartPolicy: "Always",
        dnsPolicy: "ClusterFirst",
        schedulerName: "default-scheduler",
        terminationGracePeriodSeconds: 30,
        securityContext: {},
      });
    });

    it("changes the very object whose uid it names, or fails", async () => {
      const made = await apply(kinds.secret, {});
      await apply(kinds.secret, {}, ours, { uid: uidOf(made), labels: { a: "b" } });
      const other = "11111111-2222-4333-8444-555555555555";
      await refused(apply(kinds.secret, {}, forced, { uid: other }), "KUBE_CONFLICT");
      await t.kube.delete(kinds.secret, { namespace, name: own(), uid: uidOf(made) }, signal);
      await refused(apply(kinds.secret, {}, forced, { uid: uidOf(made) }), "KUBE_CONFLICT");
      expect(await get(kinds.secret)).toBeUndefined();
    });

    it("compares the version when one is named", async () => {
      const made = await apply(kinds.secret, {});
      await apply(kinds.secret, {}, ours, { labels: { a: "1" } });
      const stale = { resourceVersion: versionOf(made), labels: { a: "2" } };
      await refused(apply(kinds.secret, {}, forced, stale), "KUBE_CONFLICT");
    });

    it("only creates with the version that no object has", async () => {
      const first = { resourceVersion: "1", labels: { a: "1" } };
      const made = await apply(kinds.secret, {}, ours, first);
      expect(versionOf(made)).not.toBe("1");
      const late = { resourceVersion: "1", labels: { a: "2" } };
      await refused(apply(kinds.secret, {}, forced, late), "KUBE_CONFLICT");
      expect((await get(kinds.secret))?.metadata?.labels).toEqual({ a: "1" });
    });

    it("refuses what is unknown, misshapen, incomplete or badly named", async () => {
      await refused(apply(kinds.deployment, deployment({}, { imagee: "x" })), "KUBE_INVALID");
      await refused(apply(kinds.deployment, deployment({ replicas: "two" })), "KUBE_INVALID");
      await refused(apply(kinds.deployment, { spec: { replicas: 1 } }), "KUBE_INVALID");
      await refused(apply(kinds.service, { spec: {} }, ours, { name: "1st" }), "KUBE_INVALID");
      await refused(apply(kinds.secret, {}, ours, { name: "" }), "KUBE_INVALID");
      await refused(
        apply(kinds.deployment, deployment({ selector: { matchLabels: { app: "other" } } })),
        "KUBE_INVALID",
      );
      await refused(
        apply(
          kinds.deployment,
          deployment(
            {},
            {
              env: [
                { name: "A", value: "1" },
                { name: "A", value: "2" },
              ],
            },
          ),
        ),
        "KUBE_INVALID",
      );
      await refused(
        apply(kinds.deployment, deployment({}, { resources: { requests: { cpu: "much" } } })),
        "KUBE_INVALID",
      );
      expect(await get(kinds.deployment)).toBeUndefined();
    });

    it("refuses a namespace that there is not", async () => {
      await refused(
        apply(kinds.secret, {}, ours, { namespace: "no-such-namespace" }),
        "KUBE_NOT_FOUND",
      );
    });

    it("keeps what never changes: a selector, a revision's data", async () => {
      await apply(kinds.deployment, deployment());
      const moved = {
        selector: { matchLabels: { app: "moved" } },
        template: {
          metadata: { labels: { app: "moved" } },
          spec: { containers: [{ name: "server", image: "registry.local/cats:1" }] },
        },
      };
      await refused(apply(kinds.deployment, { spec: moved }, forced), "KUBE_INVALID");

      await apply(kinds.controllerRevision, { revision: 1, data: { a: { b: 1 } } });
      await refused(
        apply(kinds.controllerRevision, { revision: 2, data: { a: { b: 2 } } }),
        "KUBE_INVALID",
      );
      const next = await apply(kinds.controllerRevision, { revision: 2, data: { a: { b: 1 } } });
      expect(next).toMatchObject({ revision: 2, data: { a: { b: 1 } } });
    });
  });
}
