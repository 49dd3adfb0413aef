import { OperatorError } from "../../errors.ts";
import { nanosOf } from "../quantity.ts";
import {
  equals,
  isList,
  isObject,
  objectAt,
  textAt,
  toJsonObject,
  withMember,
  type Json,
  type JsonObject,
} from "./json.testing.ts";

/** What the API server does with each kind beyond its schema: subresources, generations, what it allots and refuses. */
export interface Strategy {
  readonly hasStatus: boolean;
  readonly hasGeneration: boolean;
  /** Whether a replace must name the version that it replaces. */
  readonly needsVersion: boolean;
  /** Whether a replace of what is not there makes it. */
  readonly createsOnReplace: boolean;
  /** Fills in what the server allots, from what there was before. */
  readonly allot: (object: JsonObject, live: JsonObject | undefined, next: Allotment) => JsonObject;
  /** Throws KUBE_INVALID. */
  readonly validate: (object: JsonObject, live: JsonObject | undefined) => void;
}

/** Numbers that the server gives out. */
export interface Allotment {
  readonly address: () => string;
  readonly nodePort: () => number;
}

const plain: Strategy = {
  hasStatus: false,
  hasGeneration: false,
  needsVersion: false,
  createsOnReplace: false,
  allot: (object) => object,
  validate: () => {},
};

function invalid(path: string, why: string): OperatorError {
  return new OperatorError("KUBE_INVALID", `${path}: Invalid value: ${why}`);
}

function at(object: JsonObject | undefined, ...path: readonly string[]): Json | undefined {
  let value: Json | undefined = object;
  for (const key of path) value = isObject(value) ? value[key] : undefined;
  return value;
}

/** Refuses a change of what was set when the object was made. */
function immutable(
  object: JsonObject,
  live: JsonObject | undefined,
  ...path: readonly string[]
): void {
  if (live !== undefined && !equals(at(object, ...path), at(live, ...path)))
    throw invalid(path.join("."), "field is immutable");
}

function validateWorkload(object: JsonObject, live: JsonObject | undefined): void {
  const wanted = at(object, "spec", "selector", "matchLabels");
  const labels = at(object, "spec", "template", "metadata", "labels");
  if (!isObject(wanted) || Object.keys(wanted).length === 0)
    throw new OperatorError("KUBE_INVALID", "spec.selector: Required value");
  const differs = Object.entries(wanted).some(
    ([key, value]) => !isObject(labels) || labels[key] !== value,
  );
  if (differs)
    throw invalid("spec.template.metadata.labels", "`selector` does not match template `labels`");
  immutable(object, live, "spec", "selector");
  const strategy = at(object, "spec", "strategy");
  if (
    isObject(strategy) &&
    strategy["type"] === "Recreate" &&
    strategy["rollingUpdate"] !== undefined
  )
    throw invalid("spec.strategy.rollingUpdate", "may not be specified when type is 'Recreate'");
  validateCounts(object);
  validateContainers(at(object, "spec", "template", "spec", "containers"));
}

/** Counts of a status, each with what it cannot be larger than. */
const counts = [
  ["updatedReplicas", "replicas"],
  ["readyReplicas", "replicas"],
  ["availableReplicas", "replicas"],
  ["availableReplicas", "readyReplicas"],
] as const;

function validateCounts(object: JsonObject): void {
  const count = (name: string): number => Number(at(object, "status", name) ?? 0);
  for (const [part, whole] of counts) {
    if (count(part) > count(whole))
      throw invalid(`status.${part}`, `cannot be greater than status.${whole}`);
  }
}

function amountOf(quantity: Json): bigint {
  return typeof quantity === "object" ? 0n : (nanosOf(String(quantity)) ?? 0n);
}

function validateContainers(containers: Json | undefined): void {
  for (const container of isList(containers) ? containers : []) {
    if (!isObject(container)) continue;
    const name = textAt(container, "name") ?? "";
    if ((textAt(container, "image") ?? "") === "")
      throw new OperatorError("KUBE_INVALID", `containers[${name}].image: Required value`);
    const limits = at(container, "resources", "limits");
    for (const [resource, limit] of Object.entries(isObject(limits) ? limits : {})) {
      const request = at(container, "resources", "requests", resource) ?? "0";
      if (amountOf(request) > amountOf(limit))
        throw invalid(`containers[${name}].resources`, "a request is larger than its limit");
    }
  }
}

function withoutImages(spec: Json | undefined): Json {
  const bare = (list: Json | undefined): Json =>
    isList(list)
      ? list.map((one) => (isObject(one) ? withMember(one, "image", undefined) : one))
      : [];
  if (!isObject(spec)) return {};
  return {
    ...spec,
    containers: bare(spec["containers"]),
    initContainers: bare(spec["initContainers"]),
  };
}

function allotService(
  object: JsonObject,
  live: JsonObject | undefined,
  next: Allotment,
): JsonObject {
  const spec = objectAt(object, "spec");
  const before = objectAt(live ?? {}, "spec");
  const type = textAt(spec, "type");
  if (type === "ExternalName") throw new Error("the fake has no Services of type ExternalName");
  const clusterIP = spec["clusterIP"] ?? before["clusterIP"] ?? next.address();
  const isExternal = type === "LoadBalancer" || type === "NodePort";
  const needsPorts = isExternal && spec["allocateLoadBalancerNodePorts"] !== false;
  const ports = spec["ports"];
  const given = new Set(portsOf(ports).map(({ nodePort }) => nodePort));
  const kept = new Map(portsOf(before["ports"]).map(({ name, nodePort }) => [name, nodePort]));
  const portOf = (port: JsonObject): JsonObject => {
    if (!isExternal) return withMember(port, "nodePort", undefined);
    if (!needsPorts || port["nodePort"] !== undefined) return port;
    // A port keeps the number that the port of its name had, unless the number is given to another one.
    const known = kept.get(port["name"]);
    return {
      ...port,
      nodePort: known === undefined || given.has(known) ? next.nodePort() : known,
    };
  };
  let result: JsonObject = {
    ipFamilies: before["ipFamilies"] ?? ["IPv4"],
    ipFamilyPolicy: before["ipFamilyPolicy"] ?? "SingleStack",
    ...spec,
    clusterIP,
    clusterIPs: spec["clusterIPs"] ?? before["clusterIPs"] ?? [clusterIP],
    ...(isList(ports) && { ports: ports.map((port) => (isObject(port) ? portOf(port) : port)) }),
  };
  if (!isExternal) result = withMember(result, "externalTrafficPolicy", undefined);
  if (type !== "LoadBalancer")
    result = withMember(result, "allocateLoadBalancerNodePorts", undefined);
  return { ...object, spec: result };
}

function portsOf(ports: Json | undefined): readonly JsonObject[] {
  return isList(ports) ? ports.filter(isObject) : [];
}

function allotJob(object: JsonObject, live: JsonObject | undefined): JsonObject {
  const metadata = objectAt(object, "metadata");
  const spec = objectAt(object, "spec");
  if (live !== undefined || spec["manualSelector"] === true) return object;
  const uid = textAt(metadata, "uid") ?? "";
  const name = textAt(metadata, "name") ?? "";
  const template = objectAt(spec, "template");
  const templateMetadata = objectAt(template, "metadata");
  const labels = {
    ...objectAt(templateMetadata, "labels"),
    "batch.kubernetes.io/controller-uid": uid,
    "batch.kubernetes.io/job-name": name,
    "controller-uid": uid,
    "job-name": name,
  };
  return {
    ...object,
    metadata: { ...metadata, labels: metadata["labels"] ?? labels },
    spec: {
      ...spec,
      selector: { matchLabels: { "batch.kubernetes.io/controller-uid": uid } },
      template: { ...template, metadata: { ...templateMetadata, labels } },
    },
  };
}

/** Pods come to be Pending; nothing runs them. */
function allotPod(object: JsonObject, live: JsonObject | undefined): JsonObject {
  return live === undefined
    ? { ...object, status: { phase: "Pending", ...objectAt(object, "status") } }
    : object;
}

function validatePod(object: JsonObject, live: JsonObject | undefined): void {
  validateContainers(at(object, "spec", "containers"));
  if (live !== undefined && !equals(withoutImages(object["spec"]), withoutImages(live["spec"])))
    throw invalid("spec", "pod updates may not change fields other than images");
}

const withStatus: Strategy = { ...plain, hasStatus: true };
const withGeneration: Strategy = { ...withStatus, hasGeneration: true };

const strategies: Readonly<Record<string, Strategy>> = {
  AIApp: { ...withGeneration, needsVersion: true },
  ConfigMap: plain,
  ControllerRevision: {
    ...plain,
    validate: (object, live) => immutable(object, live, "data"),
  },
  Deployment: { ...withGeneration, validate: validateWorkload },
  Event: { ...plain, createsOnReplace: true },
  HorizontalPodAutoscaler: withStatus,
  Job: {
    ...withGeneration,
    allot: allotJob,
    validate: (object, live) => {
      validateContainers(at(object, "spec", "template", "spec", "containers"));
      immutable(object, live, "spec", "selector");
      immutable(object, live, "spec", "template");
      immutable(object, live, "spec", "completions");
    },
  },
  Lease: { ...plain, needsVersion: true, createsOnReplace: true },
  Pod: { ...withGeneration, allot: allotPod, validate: validatePod },
  PodDisruptionBudget: { ...withGeneration, needsVersion: true },
  ReplicaSet: { ...withGeneration, validate: validateWorkload },
  Secret: { ...plain, validate: (object, live) => immutable(object, live, "type") },
  Service: {
    ...withStatus,
    createsOnReplace: true,
    allot: allotService,
    validate: (object, live) => immutable(object, live, "spec", "clusterIP"),
  },
  ServiceAccount: plain,
};

export function strategyOf(kind: string): Strategy {
  const strategy = strategies[kind];
  if (strategy === undefined) throw new Error(`the fake knows no ${kind}`);
  return strategy;
}

/** What a change of it counts as a new generation. */
export function generationInput(kind: string, object: JsonObject): Json {
  const annotations = objectAt(objectAt(object, "metadata"), "annotations");
  const { metadata: _, status: __, ...rest } = object;
  return kind === "Deployment" ? toJsonObject({ ...rest, annotations }) : rest;
}
