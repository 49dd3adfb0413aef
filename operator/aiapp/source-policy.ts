import type { AIAppSourcePolicy, AIAppSourcePolicySpec } from "../../crds/policy.ts";
import type { LabelSelector } from "../../crds/label-selector.ts";
import { allowsHost, allowsLocation, allowsRepository } from "../../crds/grammar/allowance.ts";
import { milliseconds } from "../../crds/grammar/duration.ts";
import { isStore } from "../../crds/grammar/host.ts";
import { parseRepository } from "../../crds/grammar/image-reference.ts";
import { selects, type Labels } from "./namespace-labels.ts";
import { allowsNetwork } from "./source-range.ts";
import type { Named, NamedList, NamedValue } from "./named-sources.ts";

/**
 * AIAppSourcePolicies: what the AIApps of a namespace may name. Pure.
 *
 * Without any policy that is everything. Once there is one, a namespace that no policy selects may use nothing; in one
 * that is selected, each list that one of its policies has is an allow-list, and the lists of its policies add up.
 */
export interface SourcePolicy {
  readonly name: string;
  readonly selector: LabelSelector;
  readonly allowed: Allowed;
}

type Allowed = Omit<AIAppSourcePolicySpec, "namespaceSelector">;

/** What an administrator allows, as the operator read it. */
export interface SourcePolicies {
  readonly all: readonly SourcePolicy[];
  /** Of the app's namespace. */
  readonly labels: Labels;
}

export function parsePolicy({ metadata, spec }: AIAppSourcePolicy): SourcePolicy {
  const { namespaceSelector = {}, ...allowed } = spec;
  return { name: metadata.name, selector: namespaceSelector, allowed };
}

/** A policy that cannot be read selects every namespace, and allows nothing. */
export function unreadablePolicy(name: string): SourcePolicy {
  const none = {
    images: [],
    stores: [],
    hosts: [],
    loadBalancerSourceRanges: [],
    serviceAccountNames: [],
  };
  return { name, selector: {}, allowed: none };
}

interface Rule {
  readonly list: NamedList;
  readonly what: string;
  readonly allows: (allowed: string, value: string) => boolean;
}

const rules: readonly Rule[] = [
  { list: "images", what: "image", allows: allowsImage },
  { list: "stores", what: "model store", allows: allowsModel },
  { list: "hosts", what: "DNS name", allows: allowsHost },
  { list: "loadBalancerSourceRanges", what: "source range", allows: allowsNetwork },
  {
    list: "serviceAccountNames",
    what: "ServiceAccount",
    allows: (allowed, value) => allowed === value,
  },
];

function allowsImage(allowed: string, image: string): boolean {
  try {
    const { registry, repository } = parseRepository(image);
    return allowsRepository(allowed, registry, repository);
  } catch {
    // Such as `nginx`: whose registry that is depends on the node.
    return false;
  }
}

function allowsModel(allowed: string, location: string): boolean {
  return isStore(location) && allowsLocation(allowed, location);
}

/** A message is for a person: of what is refused or allowed it shows so much. */
const MAX_SHOWN = 5;

/** Why the policies do not allow what an AIApp names: which field, which policies, and what they allow. */
export function findRefusal(
  named: Named,
  namespace: string,
  { all, labels }: SourcePolicies,
): string | undefined {
  if (all.length === 0) return undefined;
  const own = all.filter(({ selector }) => selects(selector, labels));
  if (own.length === 0)
    return `no AIAppSourcePolicy selects namespace ${namespace}, so its AIApps may use nothing: ask an administrator of the cluster for one; what serves goes on serving`;
  const refused = [
    ...rules.flatMap((rule) => refusedBy(rule, named, own)),
    ...tooShort(named, own),
  ];
  if (refused.length === 0) return undefined;
  const more = refused.length > MAX_SHOWN ? `; and ${refused.length - MAX_SHOWN} more` : "";
  return `${refused.slice(0, MAX_SHOWN).join("; ")}${more}: change these fields, or ask an administrator of the cluster to allow them; what serves goes on serving`;
}

function refusedBy(
  { list, what, allows }: Rule,
  named: Named,
  policies: readonly SourcePolicy[],
): readonly string[] {
  const restricting = policies.filter(({ allowed }) => allowed[list] !== undefined);
  if (restricting.length === 0) return [];
  const entries = restricting.flatMap(({ allowed }) => allowed[list] ?? []);
  const isAllowed = ({ values }: NamedValue): boolean =>
    values.every((value) => entries.some((entry) => allows(entry, value)));
  return named[list]
    .filter((one) => !isAllowed(one))
    .map(
      ({ field, text }) =>
        `${nameOf(restricting)} not allow the ${what} ${text} (${field}), only ${shown(entries)}`,
    );
}

function tooShort(
  { intervalMs, interval }: Named,
  policies: readonly SourcePolicy[],
): readonly string[] {
  const restricting = policies.filter(({ allowed }) => allowed.minInterval !== undefined);
  const [shortest] = restricting
    .map(({ allowed: { minInterval = "0s" } }) => minInterval)
    .toSorted((a, b) => milliseconds(a) - milliseconds(b));
  if (shortest === undefined || intervalMs >= milliseconds(shortest)) return [];
  return [
    `${nameOf(restricting)} not allow the interval ${interval} (spec.interval), only ${shortest} and longer`,
  ];
}

function nameOf(policies: readonly SourcePolicy[]): string {
  const names = shown(policies.map(({ name }) => name));
  return policies.length === 1
    ? `AIAppSourcePolicy ${names} does`
    : `AIAppSourcePolicies ${names} do`;
}

function shown(entries: readonly string[]): string {
  if (entries.length === 0) return "none";
  const more = entries.length > MAX_SHOWN ? ` and ${entries.length - MAX_SHOWN} more` : "";
  return `${entries.slice(0, MAX_SHOWN).join(", ")}${more}`;
}
