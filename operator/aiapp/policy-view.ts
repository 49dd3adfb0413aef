import { API_VERSION, POLICY_KIND, POLICY_PLURAL } from "../../crds/names.ts";
import { AIAppSourcePolicy } from "../../crds/policy.ts";
import type { AIApp } from "../../crds/aiapp/aiapp.ts";
import type { Kind, KubernetesObject } from "../kube/types.ts";
import type { View } from "./cache.ts";
import { namedBy, namedByRelease, type Named, type NamedRelease } from "./named-sources.ts";
import { labelsOf } from "./namespace-labels.ts";
import { findRefusal, parsePolicy, unreadablePolicy, type SourcePolicy } from "./source-policy.ts";

export const policyKind: Kind = {
  apiVersion: API_VERSION,
  kind: POLICY_KIND,
  plural: POLICY_PLURAL,
};

/** Why the policies of an administrator do not allow what an AIApp names; undefined where they do. */
export interface PolicyView {
  readonly refusal: (app: AIApp) => string | undefined;
  /** Of the sources of a recorded release, which the spec may no longer name. */
  readonly refusalOfRelease: (app: AIApp, release: NamedRelease) => string | undefined;
}

/** Without the right to read policies: everything is allowed. */
export const noPolicies: PolicyView = {
  refusal: () => undefined,
  refusalOfRelease: () => undefined,
};

/** Policies and the labels of namespaces, from caches. A policy is parsed once for each version of it. */
export function policyView(
  policies: View<KubernetesObject>,
  namespaces: View<KubernetesObject>,
): PolicyView {
  const parsed = new WeakMap<KubernetesObject, SourcePolicy>();
  const read = (object: KubernetesObject): SourcePolicy => {
    const known = parsed.get(object);
    if (known !== undefined) return known;
    const { data } = AIAppSourcePolicy.safeParse(object);
    const policy =
      data === undefined ? unreadablePolicy(object.metadata?.name ?? "") : parsePolicy(data);
    parsed.set(object, policy);
    return policy;
  };
  const find = ({ metadata: { namespace } }: AIApp, named: () => Named): string | undefined => {
    const all = [...policies.all()].map(read);
    if (all.length === 0) return undefined;
    const found = namespaces.get("", namespace);
    // A selector may select by the lack of a label.
    if (found === undefined) return `the labels of namespace ${namespace} are not known yet`;
    const labels = labelsOf(found);
    return findRefusal(named(), namespace, { all, labels });
  };
  return {
    refusal: (app) => find(app, () => namedBy(app)),
    refusalOfRelease: (app, release) => find(app, () => namedByRelease(app, release)),
  };
}
