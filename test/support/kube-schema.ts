/**
 * What the fake Kubernetes API must know of the real one's types: the schemas of a few kinds, cut down to what
 * server-side apply and pruning read. The integration tier holds `operator/kube/fake/generated/schema.json` to the API server.
 */

type Node = Readonly<Record<string, unknown>>;

/** The OpenAPI v3 documents that hold the kinds, as paths below `/openapi/v3/`. */
export const documents = [
  "api/v1",
  "apis/apps/v1",
  "apis/autoscaling/v2",
  "apis/batch/v1",
  "apis/coordination.k8s.io/v1",
  "apis/policy/v1",
] as const;

const roots = [
  "io.k8s.api.apps.v1.ControllerRevision",
  "io.k8s.api.apps.v1.Deployment",
  "io.k8s.api.apps.v1.ReplicaSet",
  "io.k8s.api.autoscaling.v2.HorizontalPodAutoscaler",
  "io.k8s.api.batch.v1.Job",
  "io.k8s.api.coordination.v1.Lease",
  "io.k8s.api.core.v1.ConfigMap",
  "io.k8s.api.core.v1.Event",
  "io.k8s.api.core.v1.Pod",
  "io.k8s.api.core.v1.Secret",
  "io.k8s.api.core.v1.Service",
  "io.k8s.api.core.v1.ServiceAccount",
  "io.k8s.api.policy.v1.PodDisruptionBudget",
] as const;

const keywords = [
  "type",
  "format",
  "required",
  "x-kubernetes-list-type",
  "x-kubernetes-list-map-keys",
  "x-kubernetes-map-type",
  "x-kubernetes-patch-merge-key",
  "x-kubernetes-patch-strategy",
] as const;

const PREFIX = "#/components/schemas/";

function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function referenceOf(node: Node): string | undefined {
  const [only] = Array.isArray(node["allOf"]) ? node["allOf"] : [];
  const reference: unknown = node["$ref"] ?? (isNode(only) ? only["$ref"] : undefined);
  return typeof reference === "string" ? reference.slice(PREFIX.length) : undefined;
}

function reduce(node: Node): Node {
  const reference = referenceOf(node);
  const kept = keywords.flatMap((key) => (node[key] === undefined ? [] : [[key, node[key]]]));
  const { items, properties, additionalProperties, default: preset } = node;
  return {
    ...(reference !== undefined && { $ref: reference }),
    ...Object.fromEntries(kept),
    // An empty default says that the field is a struct which is always there; "" and 0 say nothing.
    ...(Boolean(preset) && { default: preset }),
    ...(isNode(items) && { items: reduce(items) }),
    ...(isNode(additionalProperties) && { additionalProperties: reduce(additionalProperties) }),
    ...(isNode(properties) && {
      properties: Object.fromEntries(
        Object.entries(properties).flatMap(([name, child]) =>
          isNode(child) ? [[name, reduce(child)]] : [],
        ),
      ),
    }),
  };
}

function referencesIn(node: unknown): readonly string[] {
  if (Array.isArray(node)) return node.flatMap(referencesIn);
  if (!isNode(node)) return [];
  const own = typeof node["$ref"] === "string" ? [node["$ref"]] : [];
  return [...own, ...Object.values(node).flatMap(referencesIn)];
}

/** @param texts the documents as the API server serves them; returns the text of `schema.json` */
export function reduceOpenApi(texts: readonly string[]): string {
  const all: Record<string, unknown> = {};
  for (const text of texts) {
    const document: unknown = JSON.parse(text);
    const components = isNode(document) ? document["components"] : undefined;
    if (isNode(components)) Object.assign(all, components["schemas"]);
  }
  const found = new Map<string, Node>();
  const open: string[] = [...roots];
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    const schema = all[name];
    if (found.has(name)) continue;
    if (!isNode(schema)) throw new Error(`the API server serves no schema ${name}`);
    found.set(name, reduce(schema));
    open.push(...referencesIn(found.get(name)));
  }
  const lines = [...found].toSorted(([a], [b]) => (a < b ? -1 : 1));
  return `{\n${lines.map(([name, node]) => `${JSON.stringify(name)}:${JSON.stringify(node)}`).join(",\n")}\n}\n`;
}
