import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";

import { API_VERSION, KIND, PLURAL } from "../../crds/names.ts";
import type { ErrorCode } from "../errors.ts";
import type { ApplyOptions, Kube } from "./client.ts";
import {
  kinds,
  type Kind,
  type KubernetesObject,
  type V1Deployment,
  type WatchEvent,
} from "./types.ts";

/** A Kubernetes API to try, with a namespace of its own. */
export interface OpenKube {
  readonly kube: Kube;
  readonly namespace: string;
  readonly otherNamespace: string;
  /** Makes the server forget the changes until now. */
  readonly forget: () => Promise<void>;
  readonly close: () => Promise<void>;
}

type Fields = Readonly<Record<string, unknown>>;

interface AIAppObject extends KubernetesObject {
  readonly spec?: Fields;
  readonly status?: Fields;
}

const aiapp: Kind<AIAppObject> = { apiVersion: API_VERSION, kind: KIND, plural: PLURAL };
const ours: ApplyOptions = { fieldManager: "ours", force: false };
const forced: ApplyOptions = { fieldManager: "ours", force: true };
const theirs: ApplyOptions = { fieldManager: "theirs", force: false };
const appSpec = {
  image: "contoso.azurecr.io/cats:1.4",
  modelVersion: "7",
  model: { store: "https://contoso.blob.core.windows.net/models", name: "cats" },
} as const;

/** What the operator needs of the Kubernetes API, held to the real API server and to the fake alike. */
export function describeKube(name: string, open: () => Promise<OpenKube>): void {
  describe(name, () => {
    let kube: Kube;
    let namespace: string;
    let otherNamespace: string;
    let forget: () => Promise<void>;
    let close: (() => Promise<void>) | undefined;
    let count = 0;
    /** A name that no other case uses. */
    let own: string;
    const signal = AbortSignal.timeout(300_000);

    beforeAll(async () => {
      ({ kube, namespace, otherNamespace, forget, close } = await open());
    });
    beforeEach(() => {
      count += 1;
      own = `case-${count}`;
    });
    afterAll(() => close?.());

    async function refused(promise: Promise<unknown>, code: ErrorCode): Promise<void> {
      await expect(promise).rejects.toMatchObject({ code });
    }

    /** An object of the namespace; the tests write fields that the client's types do not know as they come. */
    function object<T extends KubernetesObject>(
      _: Kind<T>,
      fields: Fields,
      metadata: Fields = {},
    ): T {
      return { ...fields, metadata: { namespace, name: own, ...metadata } } as unknown as T;
    }
    const apply = <T extends KubernetesObject>(
      kind: Kind<T>,
      fields: Fields,
      options: ApplyOptions = ours,
      metadata: Fields = {},
    ): Promise<T> => kube.apply(kind, object(kind, fields, metadata), options, signal);
    const get = <T extends KubernetesObject>(kind: Kind<T>): Promise<T | undefined> =>
      kube.get(kind, namespace, own, signal);
    const deployment = (spec: Fields = {}, container: Fields = {}): Fields => ({
      spec: {
        selector: { matchLabels: { app: own } },
        template: {
          metadata: { labels: { app: own } },
          spec: { containers: [{ name: "server", image: "registry.local/cats:1", ...container }] },
        },
        ...spec,
      },
    });
    function containerOf(found: V1Deployment | undefined): Fields {
      return (found?.spec?.template.spec?.containers[0] ?? {}) as unknown as Fields;
    }
    const versionOf = ({ metadata }: KubernetesObject): string => metadata?.resourceVersion ?? "";
    const uidOf = ({ metadata }: KubernetesObject): string => metadata?.uid ?? "";
    function managerOf(found: KubernetesObject, manager: string, subresource?: string): unknown {
      const entry = found.metadata?.managedFields?.find(
        (one) => one.manager === manager && one.subresource === subresource,
      );
      return entry?.fieldsV1;
    }

    describe("reading", () => {
      it("gives undefined for what is not there", async () => {
        expect(await get(kinds.deployment)).toBeUndefined();
        expect(await kube.get(kinds.secret, "no-such-namespace", own, signal)).toBeUndefined();
      });

      it("gives an object as it was written, with what the server adds", async () => {
        const written = await apply(kinds.serviceAccount, { automountServiceAccountToken: false });
        expect(await get(kinds.serviceAccount)).toEqual(written);
        expect(written).toMatchObject({
          apiVersion: "v1",
          kind: "ServiceAccount",
          metadata: { name: own, namespace },
          automountServiceAccountToken: false,
        });
        expect(uidOf(written)).toMatch(/^[0-9a-f-]{36}$/);
        expect(versionOf(written)).toMatch(/^\d+$/);
        expect(written.metadata?.creationTimestamp).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
      });

      it("lists a namespace in the order of names, and all namespaces, by label selector", async () => {
        const labels = { group: own };
        for (const name of ["b", "a", "c"])
          await apply(kinds.secret, {}, ours, { name: `${own}-${name}`, labels });
        await apply(kinds.secret, {}, ours, { namespace: otherNamespace, labels });
        const labelSelector = `group=${own}`;
        const here = await kube.list(kinds.secret, { namespace, labelSelector }, signal);
        expect(here.items.map(({ metadata }) => metadata?.name)).toEqual(
          ["a", "b", "c"].map((name) => `${own}-${name}`),
        );
        expect(here.items[0]).toMatchObject({ apiVersion: "v1", kind: "Secret" });
        const all = await kube.list(kinds.secret, { labelSelector }, signal);
        expect(all.items).toHaveLength(4);
        expect(Number(all.resourceVersion)).toBeGreaterThanOrEqual(
          Math.max(...all.items.map((item) => Number(versionOf(item)))),
        );
      });

      it("understands the selectors of sets, inequality and presence", async () => {
        await apply(kinds.secret, {}, ours, { name: `${own}-x`, labels: { [own]: "x" } });
        await apply(kinds.secret, {}, ours, { name: `${own}-y`, labels: { [own]: "y" } });
        const named = async (labelSelector: string): Promise<readonly (string | undefined)[]> => {
          const { items } = await kube.list(kinds.secret, { namespace, labelSelector }, signal);
          return items.map(({ metadata }) => metadata?.labels?.[own]).filter(Boolean);
        };
        expect(await named(own)).toEqual(["x", "y"]);
        expect(await named(`${own} in (y, z)`)).toEqual(["y"]);
        expect(await named(`${own} notin (y)`)).toEqual(["x"]);
        expect(await named(`${own}!=x`)).toEqual(["y"]);
        expect(await named(`${own},${own}=x`)).toEqual(["x"]);
        expect(await named(`!${own}`)).toEqual([]);
      });

      it("refuses a list of more than may be kept, rather than give a part of it", async () => {
        for (const name of ["a", "b"])
          await apply(kinds.secret, {}, ours, { name: `${own}-${name}`, labels: { many: own } });
        const listed = kube.list(
          kinds.secret,
          { namespace, labelSelector: `many=${own}`, maxItems: 1 },
          signal,
        );
        await refused(listed, "KUBE_UNEXPECTED_RESPONSE");
      });

      it("takes the signal's own reason", async () => {
        const reason = new Error("no longer needed");
        const aborted = AbortSignal.abort(reason);
        await expect(kube.get(kinds.secret, namespace, own, aborted)).rejects.toBe(reason);
        await expect(kube.list(kinds.secret, { namespace }, aborted)).rejects.toBe(reason);
      });
    });

    describe("watching", () => {
      const summary = ({ type, object: { metadata } }: WatchEvent<KubernetesObject>): string =>
        `${type} ${metadata?.name} ${metadata?.labels?.["step"] ?? ""}`.trim();

      async function events(
        count: number,
        resourceVersion: string,
        labelSelector?: string,
      ): Promise<readonly string[]> {
        const seen: string[] = [];
        const options = { namespace, labelSelector, resourceVersion, timeoutSeconds: 30 };
        for await (const event of kube.watch(kinds.secret, options, signal)) {
          if (event.type !== "BOOKMARK") seen.push(summary(event));
          if (seen.length === count) break;
        }
        return seen;
      }

      it("gives every change after a list, in order, past and to come", async () => {
        const { resourceVersion } = await kube.list(kinds.secret, { namespace }, signal);
        const made = await apply(kinds.secret, {}, ours, { labels: { step: "1" } });
        const coming = events(3, resourceVersion);
        await apply(kinds.secret, {}, ours, { labels: { step: "2" } });
        await kube.delete(kinds.secret, { namespace, name: own, uid: uidOf(made) }, signal);
        expect(await coming).toEqual([`ADDED ${own} 1`, `MODIFIED ${own} 2`, `DELETED ${own} 2`]);
        // It resumes after the version that was seen last.
        expect(await events(2, versionOf(made))).toEqual([`MODIFIED ${own} 2`, `DELETED ${own} 2`]);
      });

      it("shows who selects by label an object that comes to match, and one that no longer does", async () => {
        const { resourceVersion } = await kube.list(kinds.secret, { namespace }, signal);
        for (const step of ["1", own, "3"])
          await apply(kinds.secret, {}, ours, { labels: { step } });
        const seen = await events(2, resourceVersion, `step=${own}`);
        expect(seen.map((line) => line.split(" ").slice(0, 2).join(" "))).toEqual([
          `ADDED ${own}`,
          `DELETED ${own}`,
        ]);
      });

      it("is gone when the version is older than what the server remembers", async () => {
        const made = await apply(kinds.secret, {}, ours, { labels: { step: "1" } });
        await apply(kinds.secret, {}, ours, { labels: { step: "2" } });
        await forget();
        await refused(events(1, versionOf(made)), "KUBE_GONE");
      });

      it("ends when the signal is aborted, with its reason", async () => {
        const { resourceVersion } = await kube.list(kinds.secret, { namespace }, signal);
        const stop = new AbortController();
        const reason = new Error("no longer needed");
        const options = { namespace, resourceVersion, timeoutSeconds: 30 };
        const watched = (async () => {
          for await (const event of kube.watch(kinds.secret, options, stop.signal)) {
            if (event.type !== "BOOKMARK") stop.abort(reason);
          }
        })();
        const ended = expect(watched).rejects.toBe(reason);
        await apply(kinds.secret, {});
        await ended;
      });
    });

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
            selector: { matchLabels: { app: own } },
            template: {
              metadata: { labels: { app: own } },
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
        expect(names(await apply(kinds.deployment, withEnv("C", "A", "B")))).toEqual([
          "C",
          "A",
          "B",
        ]);
        expect(names(await apply(kinds.deployment, withEnv("C", "D", "B")))).toEqual([
          "C",
          "D",
          "B",
        ]);
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
        await kube.delete(kinds.secret, { namespace, name: own, uid: uidOf(made) }, signal);
        await refused(apply(kinds.secret, {}, forced, { uid: uidOf(made) }), "KUBE_CONFLICT");
        expect(await get(kinds.secret)).toBeUndefined();
      });

      it("compares the version when one is named", async () => {
        const made = await apply(kinds.secret, {});
        await apply(kinds.secret, {}, ours, { labels: { a: "1" } });
        const stale = { resourceVersion: versionOf(made), labels: { a: "2" } };
        await refused(apply(kinds.secret, {}, forced, stale), "KUBE_CONFLICT");
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

    describe("an AIApp", () => {
      it("has its defaults, and a status from the beginning", async () => {
        const made = await apply(aiapp, { spec: appSpec });
        expect(made).toMatchObject({
          metadata: { generation: 1 },
          spec: { interval: "1m", suspend: false, model: { order: "Auto" } },
          status: { observedGeneration: -1 },
        });
        expect(managerOf(made, "ours")).toEqual({
          "f:spec": {
            "f:image": {},
            "f:modelVersion": {},
            "f:model": { "f:name": {}, "f:store": {} },
          },
        });
      });

      it("is refused when its schema says so", async () => {
        const spec = { ...appSpec, replicas: -1 };
        await refused(apply(aiapp, { spec }), "KUBE_INVALID");
        await refused(apply(aiapp, { spec: { ...appSpec, interval: "often" } }), "KUBE_INVALID");
        await refused(apply(aiapp, { spec: { ...appSpec, modelversion: "7" } }), "KUBE_INVALID");
        await refused(apply(aiapp, { spec: { image: appSpec.image } }), "KUBE_INVALID");
      });

      it("keeps spec and status apart: who writes one leaves the other alone", async () => {
        const status = { observedGeneration: 9 };
        const made = await apply(aiapp, { spec: appSpec, status });
        expect(made.status).toEqual({ observedGeneration: -1 });
        const told = await apply(
          aiapp,
          { spec: { ...appSpec, modelVersion: "8" }, status },
          { ...forced, subresource: "status" },
          { uid: uidOf(made) },
        );
        expect(told).toMatchObject({
          metadata: { generation: 1 },
          spec: { modelVersion: "7" },
          status: { observedGeneration: 9 },
        });
        expect(managerOf(told, "ours", "status")).toEqual({
          "f:status": { "f:observedGeneration": {} },
        });
        const changed = await apply(aiapp, { spec: { ...appSpec, modelVersion: "8" } });
        expect(changed).toMatchObject({
          metadata: { generation: 2 },
          spec: { modelVersion: "8" },
          status: { observedGeneration: 9 },
        });
      });

      it("merges conditions by type and history by id, and forgets what is left out", async () => {
        await apply(aiapp, { spec: appSpec });
        const condition = (type: string, value: string): Fields => ({
          type,
          status: value,
          reason: "Because",
          message: "",
          lastTransitionTime: "2026-03-01T08:00:00Z",
        });
        const release = (id: string): Fields => ({
          id,
          image: "contoso.azurecr.io/cats:1.4",
          imageDigest: "sha256:1",
          modelVersion: "7",
          modelDigest: "sha256:2",
          since: "2026-03-01T08:00:00Z",
          phase: "Released",
        });
        const write = (status: Fields, options = ours): Promise<AIAppObject> =>
          apply(aiapp, { status }, { ...options, subresource: "status" });
        await write({
          observedGeneration: 1,
          url: "http://cats",
          conditions: [condition("Ready", "False"), condition("Available", "True")],
          history: [release("b"), release("a")],
        });
        await write({ conditions: [condition("Stalled", "True")] }, theirs);
        const left = await write({
          observedGeneration: 1,
          conditions: [condition("Ready", "True")],
          history: [release("c"), release("b")],
        });
        expect(left.status).toMatchObject({
          conditions: [
            { type: "Ready", status: "True" },
            { type: "Stalled", status: "True" },
          ],
          history: [{ id: "c" }, { id: "b" }],
        });
        expect(left.status).not.toHaveProperty("url");
        expect(await write({ conditions: [condition("Stalled", "True")] }, theirs)).toEqual(left);
      });

      it("has a status only while it is there", async () => {
        const written = apply(
          aiapp,
          { status: { observedGeneration: 1 } },
          { ...forced, subresource: "status" },
        );
        await refused(written, "KUBE_NOT_FOUND");
      });
    });

    describe("a Deployment's status", () => {
      const status = {
        observedGeneration: 1,
        replicas: 1,
        readyReplicas: 1,
        conditions: [{ type: "Available", status: "True", reason: "MinimumReplicasAvailable" }],
      };

      it("is patched and replaced by itself, and left alone by an apply", async () => {
        await apply(kinds.deployment, deployment());
        const patched = await kube.patch<V1Deployment>(
          kinds.deployment,
          namespace,
          own,
          { spec: { replicas: 7 }, status },
          { subresource: "status" },
          signal,
        );
        expect(patched).toMatchObject({ spec: { replicas: 1 }, status });
        const replaced = await kube.replace(
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
          selector: { app: own },
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
          spec: { selector: { app: own }, ports: [{ name: "http", port: 8080 }] },
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
            selector: { matchLabels: { app: own } },
          },
        });
        expect(budget).toMatchObject({
          metadata: { generation: 1 },
          spec: { maxUnavailable: 1, selector: { matchLabels: { app: own } } },
        });
        const autoscaler = await apply(kinds.horizontalPodAutoscaler, {
          spec: {
            scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: own },
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
        expect(
          await apply(kinds.podDisruptionBudget, { spec: budget.spec as unknown as Fields }),
        ).toEqual(budget);
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
              metadata: { labels: { ...labels, "batch.kubernetes.io/job-name": own } },
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
            name: own,
            uid: uidOf(owner),
            controller: true,
          },
        ];
        const labels = { app: own };
        const made = await kube.create(
          kinds.replicaSet,
          object(kinds.replicaSet, deployment(), { ownerReferences, labels }),
          signal,
        );
        expect(made.metadata?.ownerReferences).toEqual(ownerReferences);
        const pod = await kube.create(
          kinds.pod,
          object(
            kinds.pod,
            { spec: { containers: [{ name: "server", image: "registry.local/cats:1" }] } },
            { labels },
          ),
          signal,
        );
        expect(pod.status?.phase).toBe("Pending");
        const running = await kube.patch<typeof pod>(
          kinds.pod,
          namespace,
          own,
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
        const listed = await kube.list(
          kinds.pod,
          { namespace, labelSelector: `app=${own}` },
          signal,
        );
        expect(listed.items).toEqual([running]);
      });
    });

    describe("creating", () => {
      it("makes what is not there, and conflicts with what is", async () => {
        const made = await kube.create(
          kinds.secret,
          object(kinds.secret, { data: { key: "dmFsdWU=" } }),
          signal,
        );
        expect(made).toMatchObject({ type: "Opaque", data: { key: "dmFsdWU=" } });
        await refused(kube.create(kinds.secret, object(kinds.secret, {}), signal), "KUBE_CONFLICT");
        expect(await get(kinds.secret)).toEqual(made);
      });

      it("makes Events, which are counted by a patch", async () => {
        const event = object(kinds.event, {
          involvedObject: { apiVersion: API_VERSION, kind: KIND, namespace, name: own },
          type: "Normal",
          reason: "Released",
          message: "a release",
          count: 1,
          firstTimestamp: "2026-03-01T08:00:00Z",
          lastTimestamp: "2026-03-01T08:00:00Z",
        });
        await kube.create(kinds.event, event, signal);
        const patch = { count: 2, lastTimestamp: "2026-03-01T08:01:00Z" };
        const counted = await kube.patch(kinds.event, namespace, own, patch, {}, signal);
        expect(counted).toMatchObject({
          ...patch,
          reason: "Released",
          firstTimestamp: "2026-03-01T08:00:00Z",
        });
      });
    });

    describe("a merge patch", () => {
      it("sets, replaces lists and removes by null", async () => {
        await apply(kinds.deployment, deployment(), ours, { labels: { a: "1", b: "2" } });
        const patched = await kube.patch<V1Deployment>(
          kinds.deployment,
          namespace,
          own,
          { metadata: { labels: { a: null, c: "3" } }, spec: { replicas: 4 } },
          { fieldManager: "patcher" },
          signal,
        );
        expect(patched).toMatchObject({ metadata: { generation: 2 }, spec: { replicas: 4 } });
        expect(patched.metadata?.labels).toEqual({ b: "2", c: "3" });
        expect(managerOf(patched, "patcher")).toMatchObject({
          "f:metadata": { "f:labels": { "f:c": {} } },
          "f:spec": { "f:replicas": {} },
        });
        expect(managerOf(patched, "ours")).not.toHaveProperty(["f:metadata", "f:labels", "f:a"]);
        // What the patch took is no longer the applier's to lose, nor to change without a conflict.
        await refused(apply(kinds.deployment, deployment({ replicas: 5 })), "KUBE_CONFLICT");
      });

      it("is of the version that it names, and of what is there", async () => {
        const made = await apply(kinds.secret, {});
        await apply(kinds.secret, {}, ours, { labels: { a: "1" } });
        const patch = { metadata: { resourceVersion: versionOf(made), labels: { a: "2" } } };
        await refused(kube.patch(kinds.secret, namespace, own, patch, {}, signal), "KUBE_CONFLICT");
        await refused(
          kube.patch(kinds.secret, namespace, "not-there", {}, {}, signal),
          "KUBE_NOT_FOUND",
        );
      });

      it("changes nothing when nothing differs", async () => {
        const made = await apply(kinds.secret, {}, ours, { labels: { a: "1" } });
        const patch = { metadata: { labels: { a: "1" } } };
        expect(await kube.patch(kinds.secret, namespace, own, patch, {}, signal)).toEqual(made);
      });
    });

    describe("replacing", () => {
      it("is a compare-and-swap with a version: of two at once, one succeeds", async () => {
        const made = await kube.create(
          kinds.lease,
          object(kinds.lease, { spec: { holderIdentity: "a", leaseDurationSeconds: 3 } }),
          signal,
        );
        const take = (holderIdentity: string): Promise<unknown> =>
          kube.replace(
            kinds.lease,
            { ...made, spec: { ...made.spec, holderIdentity } },
            {},
            signal,
          );
        const results = await Promise.allSettled([take("b"), take("c")]);
        expect(results.map(({ status }) => status).toSorted()).toEqual(["fulfilled", "rejected"]);
        const holder = (await get(kinds.lease))?.spec?.holderIdentity;
        expect(holder).toBe(results[0].status === "fulfilled" ? "b" : "c");
        await refused(take("d"), "KUBE_CONFLICT");
      });

      it("needs something to replace, and leaves out what the new object leaves out", async () => {
        await refused(
          kube.replace(kinds.secret, object(kinds.secret, {}), {}, signal),
          "KUBE_NOT_FOUND",
        );
        const made = await apply(kinds.secret, {}, ours, { labels: { a: "1" } });
        const replaced = await kube.replace(kinds.secret, object(kinds.secret, {}), {}, signal);
        expect(replaced.metadata?.labels).toBeUndefined();
        expect(uidOf(replaced)).toBe(uidOf(made));
        expect(managerOf(replaced, "ours")).toBeUndefined();
      });
    });

    describe("deleting", () => {
      it("takes that very object, and is content when it is gone", async () => {
        const made = await apply(kinds.secret, {});
        const target = { namespace, name: own, uid: uidOf(made) };
        await refused(
          kube.delete(
            kinds.secret,
            { ...target, uid: "11111111-2222-4333-8444-555555555555" },
            signal,
          ),
          "KUBE_CONFLICT",
        );
        await apply(kinds.secret, {}, ours, { labels: { a: "1" } });
        await refused(
          kube.delete(kinds.secret, { ...target, resourceVersion: versionOf(made) }, signal),
          "KUBE_CONFLICT",
        );
        await kube.delete(kinds.secret, target, signal);
        expect(await get(kinds.secret)).toBeUndefined();
        await kube.delete(kinds.secret, target, signal);
        const again = await apply(kinds.secret, {});
        expect(uidOf(again)).not.toBe(uidOf(made));
      });

      it("waits for finalizers, and ends with the last of them", async () => {
        const made = await apply(kinds.secret, {}, ours, { finalizers: ["aiapp.dev/test"] });
        const target = { namespace, name: own, uid: uidOf(made) };
        await kube.delete(kinds.secret, target, signal);
        const ending = await get(kinds.secret);
        expect(ending?.metadata?.deletionTimestamp).toBeDefined();
        await kube.patch(
          kinds.secret,
          namespace,
          own,
          { metadata: { finalizers: null } },
          {},
          signal,
        );
        expect(await get(kinds.secret)).toBeUndefined();
      });

      it("leaves what it owned to the garbage collector, by way of a finalizer in the foreground", async () => {
        const owner = await apply(kinds.deployment, deployment());
        const ownerReferences = [
          { apiVersion: "apps/v1", kind: "Deployment", name: own, uid: uidOf(owner) },
        ];
        const owned = await apply(kinds.secret, {}, ours, { ownerReferences });
        const target = { namespace, name: own, uid: uidOf(owner) };
        await kube.delete(kinds.deployment, { ...target, propagationPolicy: "Foreground" }, signal);
        const ending = await get(kinds.deployment);
        expect(ending?.metadata).toMatchObject({ finalizers: ["foregroundDeletion"] });
        expect(await get(kinds.secret)).toEqual(owned);
      });
    });

    describe("a token", () => {
      it("is made for a ServiceAccount that is there", async () => {
        await apply(kinds.serviceAccount, {});
        expect(await kube.createToken(namespace, own, "api://audience", signal)).toMatch(
          /^\S{10,}$/,
        );
        await refused(
          kube.createToken(namespace, "not-there", "api://audience", signal),
          "KUBE_NOT_FOUND",
        );
      });
    });
  });
}
