import { canonicalQuantity } from "./quantities.testing.ts";
import {
  equals,
  isList,
  isObject,
  objectAt,
  onceDone,
  textAt,
  type Json,
  type JsonObject,
} from "./json.testing.ts";
import type { MapType, Type } from "./schema.testing.ts";

/** What the API server fills in, kind by kind; and how it writes back what it was given. */

type Fill = (object: JsonObject) => JsonObject;

/** Members that are missing get these values. */
function fill(object: JsonObject, defaults: JsonObject): JsonObject {
  return { ...defaults, ...object };
}

function at(object: JsonObject, key: string, change: Fill): JsonObject {
  const value = object[key];
  return isObject(value) ? { ...object, [key]: change(value) } : object;
}

function each(object: JsonObject, key: string, change: Fill): JsonObject {
  const value = object[key];
  if (!isList(value)) return object;
  return { ...object, [key]: value.map((item) => (isObject(item) ? change(item) : item)) };
}

const httpGet: Fill = (probe) =>
  at(probe, "httpGet", (get) => fill(get, { path: "/", scheme: "HTTP" }));

const probe: Fill = (one) =>
  fill(httpGet(at(one, "grpc", (grpc) => fill(grpc, { service: "" }))), {
    timeoutSeconds: 1,
    periodSeconds: 10,
    successThreshold: 1,
    failureThreshold: 3,
  });

const envVar: Fill = (one) =>
  at(one, "valueFrom", (from) => at(from, "fieldRef", (ref) => fill(ref, { apiVersion: "v1" })));

/** The tag of an image: none and `latest` are always pulled. */
function pullPolicy(image: string | undefined): string {
  const name = image ?? "";
  if (name.includes("@")) return "IfNotPresent";
  const tag = /:([^/:]+)$/.exec(name)?.[1] ?? "latest";
  return tag === "latest" ? "Always" : "IfNotPresent";
}

/** A pod requests what it is limited to, unless it says otherwise; a template does not. */
const resources: Fill = (one) => {
  const limits = objectAt(one, "limits");
  return Object.keys(limits).length === 0
    ? one
    : { ...one, requests: fill(objectAt(one, "requests"), limits) };
};

const container: Fill = (one) => {
  let result = each(one, "ports", (port) => fill(port, { protocol: "TCP" }));
  result = each(result, "env", envVar);
  for (const name of ["startupProbe", "readinessProbe", "livenessProbe"])
    result = at(result, name, probe);
  result = at(result, "lifecycle", (hooks) =>
    at(at(hooks, "preStop", httpGet), "postStart", httpGet),
  );
  return fill(result, {
    resources: {},
    terminationMessagePath: "/dev/termination-log",
    terminationMessagePolicy: "File",
    imagePullPolicy: pullPolicy(textAt(one, "image")),
  });
};

const projected: Fill = (source) =>
  each(fill(source, { defaultMode: 420 }), "sources", (one) =>
    at(
      at(one, "serviceAccountToken", (token) => fill(token, { expirationSeconds: 3600 })),
      "downwardAPI",
      downward,
    ),
  );

const downward: Fill = (source) =>
  each(source, "items", (item) => at(item, "fieldRef", (ref) => fill(ref, { apiVersion: "v1" })));

const volume: Fill = (one) => {
  if (Object.keys(one).length === 1) return { ...one, emptyDir: {} };
  let result = one;
  for (const name of ["secret", "configMap"])
    result = at(result, name, (source) => fill(source, { defaultMode: 420 }));
  result = at(result, "downwardAPI", (source) => downward(fill(source, { defaultMode: 420 })));
  result = at(result, "hostPath", (source) => fill(source, { type: "" }));
  return at(result, "projected", projected);
};

const podSpec: Fill = (one) => {
  let result = one;
  for (const name of ["containers", "initContainers"]) result = each(result, name, container);
  result = each(result, "volumes", volume);
  const { serviceAccountName, serviceAccount } = one;
  const account = serviceAccountName ?? serviceAccount;
  return fill(result, {
    restartPolicy: "Always",
    dnsPolicy: "ClusterFirst",
    schedulerName: "default-scheduler",
    terminationGracePeriodSeconds: 30,
    securityContext: {},
    ...(account !== undefined && { serviceAccount: account, serviceAccountName: account }),
  });
};

const podTemplate: Fill = (spec) =>
  at(spec, "template", (template) => at(template, "spec", podSpec));

const deployment: Fill = (spec) => {
  const strategy = fill(objectAt(spec, "strategy"), { type: "RollingUpdate" });
  const rolling = fill(objectAt(strategy, "rollingUpdate"), {
    maxUnavailable: "25%",
    maxSurge: "25%",
  });
  return fill(
    {
      ...podTemplate(spec),
      strategy:
        strategy["type"] === "RollingUpdate" ? { ...strategy, rollingUpdate: rolling } : strategy,
    },
    { replicas: 1, revisionHistoryLimit: 10, progressDeadlineSeconds: 600 },
  );
};

const service: Fill = (spec) => {
  const type = textAt(spec, "type") ?? "ClusterIP";
  const isExternal = type === "LoadBalancer" || type === "NodePort";
  const ports = each(spec, "ports", (port) =>
    fill(port, {
      protocol: "TCP",
      ...(port["port"] !== undefined && { targetPort: port["port"] }),
    }),
  );
  return fill(ports, {
    type,
    sessionAffinity: "None",
    internalTrafficPolicy: "Cluster",
    ...(isExternal && { externalTrafficPolicy: "Cluster" }),
    ...(type === "LoadBalancer" && { allocateLoadBalancerNodePorts: true }),
  });
};

const job: Fill = (spec) =>
  fill(podTemplate(spec), {
    completions: 1,
    parallelism: 1,
    backoffLimit: 6,
    completionMode: "NonIndexed",
    suspend: false,
    podReplacementPolicy: "TerminatingOrFailed",
    manualSelector: false,
  });

const event: Fill = (object) =>
  fill(object, {
    source: {},
    firstTimestamp: null,
    lastTimestamp: null,
    eventTime: null,
    reportingComponent: "",
    reportingInstance: "",
  });

function withRequests(spec: JsonObject): JsonObject {
  const request: Fill = (one) => at(one, "resources", resources);
  return each(each(spec, "containers", request), "initContainers", request);
}

const specDefaults: Readonly<Record<string, Fill>> = {
  Deployment: deployment,
  ReplicaSet: (spec) => fill(podTemplate(spec), { replicas: 1 }),
  Pod: (spec) =>
    fill(withRequests(podSpec(spec)), {
      enableServiceLinks: true,
      preemptionPolicy: "PreemptLowerPriority",
      priority: 0,
    }),
  Service: service,
  Job: job,
  HorizontalPodAutoscaler: (spec) => fill(spec, { minReplicas: 1 }),
};

export function setDefaults(kind: string, object: JsonObject): JsonObject {
  if (kind === "Secret") return fill(object, { type: "Opaque" });
  if (kind === "Event") return event(object);
  return kind in specDefaults
    ? { ...object, spec: withSpecDefaults(kind, objectAt(object, "spec")) }
    : object;
}

const withSpecDefaults = onceDone((kind: string, spec) => {
  const filled = isObject(spec) ? specDefaults[kind]?.(spec) : undefined;
  return filled === undefined || equals(filled, spec) ? spec : filled;
});

/** Fields that a Go struct holds by value and leaves out when they are zero. */
const zeroIsAbsent = new Set([
  "hostIPC",
  "hostNetwork",
  "hostPID",
  "hostPort",
  "minReadySeconds",
  "mountPath",
  "paused",
  "publishNotReadyAddresses",
  "readOnly",
  "stdin",
  "stdinOnce",
  "subPath",
  "tty",
  "value",
]);

function isZero(name: string, value: Json, type: MapType, inStatus: boolean): boolean {
  if (value === null) return true;
  if (isList(value)) return value.length === 0;
  const isAbsent = zeroIsAbsent.has(name) || (inStatus && !type.required.includes(name));
  return (value === "" || value === false || value === 0) && isAbsent;
}

/** How a built-in kind is written back: structs that are always there, nothing empty, quantities canonical. */
export function normalize(type: Type, value: Json, inStatus = false): Json {
  if (type.kind === "scalar" && type.of === "quantity" && typeof value !== "object") {
    return canonicalQuantity(String(value));
  }
  if (!isObject(value) && !isList(value)) return value;
  return inStatus ? normalizePart.ofStatus(type, value) : normalizePart.other(type, value);
}

const normalizePart = {
  ofStatus: onceDone((type: Type, value) => normalizeMembers(type, value, true)),
  other: onceDone((type: Type, value) => normalizeMembers(type, value, false)),
};

function normalizeMembers(type: Type, value: Json, inStatus: boolean): Json {
  if (type.kind === "list" && isList(value)) {
    return value.map((item) => normalize(type.items, item, inStatus));
  }
  return type.kind === "map" && isObject(value) ? normalizeMap(type, value, inStatus) : value;
}

function normalizeMap(type: MapType, value: JsonObject, inStatus: boolean): JsonObject {
  const result: Record<string, Json> = {};
  for (const [name, member] of Object.entries(value)) {
    if (type.fields.size > 0 && isZero(name, member, type, inStatus)) continue;
    const field = type.fields.get(name);
    const memberType = field?.type ?? type.values;
    if (memberType === undefined) continue;
    const isMapOfValues = memberType.kind === "map" && memberType.fields.size === 0;
    if (isMapOfValues && isObject(member) && Object.keys(member).length === 0) continue;
    result[name] = normalize(memberType, member, inStatus || name === "status");
  }
  for (const [name, field] of type.fields) {
    if (result[name] !== undefined) continue;
    const isStruct = isObject(field.default) && field.type.kind === "map";
    if (isStruct) result[name] = normalize(field.type, {}, inStatus || name === "status");
    if (isNumber(field.type) && type.required.includes(name)) result[name] = 0;
  }
  return result;
}

/** A Go struct without any value: its lists and pointers that are never left out are null. */
export function blankOf(type: MapType): JsonObject {
  const result: Record<string, Json> = {};
  for (const [name, field] of type.fields) {
    if (isObject(field.default) && field.type.kind === "map") result[name] = blankOf(field.type);
    else if (type.required.includes(name)) result[name] = isNumber(field.type) ? 0 : null;
  }
  return result;
}

function isNumber(type: Type): boolean {
  return type.kind === "scalar" && type.of === "number";
}

/** The defaults that a CustomResourceDefinition's schema names. */
export function schemaDefaults(type: Type, value: Json): Json {
  return isObject(value) || isList(value) ? partDefaults(type, value) : value;
}

const partDefaults = onceDone((type: Type, value): Json => {
  if (type.kind === "list" && isList(value)) {
    return value.map((item) => schemaDefaults(type.items, item));
  }
  if (type.kind !== "map" || !isObject(value)) return value;
  const result: Record<string, Json> = {};
  for (const [name, member] of Object.entries(value)) {
    const memberType = type.fields.get(name)?.type ?? type.values;
    // Null stands for a default where there is one; elsewhere it is refused.
    if (member === null && type.fields.get(name)?.default !== undefined) continue;
    result[name] = memberType === undefined ? member : schemaDefaults(memberType, member);
  }
  for (const [name, field] of type.fields) {
    if (field.default !== undefined && result[name] === undefined)
      result[name] = schemaDefaults(field.type, field.default);
  }
  return result;
});
