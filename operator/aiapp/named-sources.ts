import type { AIApp } from "../../crds/aiapp/aiapp.ts";
import { milliseconds } from "../../crds/grammar/duration.ts";
import { itemsOf, memberOf } from "./resources/unchecked.ts";

/** Something that an AIApp names, and where it does. */
export interface NamedValue {
  readonly field: string;
  /** As a message shows it. */
  readonly text: string;
  /** Each of them must be allowed. */
  readonly values: readonly string[];
}

export type NamedList =
  | "images"
  | "stores"
  | "hosts"
  | "loadBalancerSourceRanges"
  | "serviceAccountNames";

/** All that an AIApp names and an AIAppSourcePolicy may restrict. */
export interface Named extends Readonly<Record<NamedList, readonly NamedValue[]>> {
  readonly interval: string;
  readonly intervalMs: number;
}

/** What a release was made of. */
export interface NamedRelease {
  readonly image: string;
  readonly model: { readonly store: string; readonly name: string };
}

const MAX_TEXT = 200;

function value(field: string, text: string, values: readonly string[] = [text]): NamedValue {
  return { field, text: text.slice(0, MAX_TEXT), values };
}

/** Of the whole spec: fields of `podTemplate` and annotations say the same as fields of their own. */
export function namedBy({ metadata, spec }: AIApp): Named {
  const { image, model, verify, serviceAccountName = metadata.name, interval } = spec;
  const pod = podOf(spec.podTemplate);
  return {
    images: [
      value("spec.image", image),
      ...(verify?.job === undefined ? [] : [value("spec.verify.job.image", verify.job.image)]),
      ...pod.images.map((one) => value("spec.podTemplate", one)),
    ],
    stores: [storeOf("spec.model", model)],
    hosts: hostsOf(spec),
    loadBalancerSourceRanges: rangesOf(spec),
    serviceAccountNames: [
      value("spec.serviceAccountName", serviceAccountName),
      ...pod.serviceAccounts.map((name) => value("spec.podTemplate", name)),
    ],
    interval,
    intervalMs: milliseconds(interval),
  };
}

/** Of a recorded release that may be of an older spec: what polling for it needs. */
export function namedByRelease(app: AIApp, { image, model }: NamedRelease): Named {
  return {
    ...namedBy(app),
    images: [value("a recorded release", image)],
    stores: [storeOf("a recorded release", model)],
  };
}

function storeOf(field: string, { store, name }: NamedRelease["model"]): NamedValue {
  return value(field, `${store}/${name}`);
}

const HOST_ANNOTATION = /\/(internal-)?hostname$/;
const RANGES_ANNOTATION = /(source-ranges|allowed-ip-ranges|allowed-service-tags)$/;

/** external-dns reads annotations, several names in one. */
function hostsOf({ service }: AIApp["spec"]): readonly NamedValue[] {
  const { host } = service ?? {};
  return [
    ...(host === undefined ? [] : [value("spec.service.host", host)]),
    ...annotationsOf(service, HOST_ANNOTATION),
  ];
}

const EVERY_ADDRESS = ["0.0.0.0/0", "::/0"];

/** Load balancers read annotations, too; a port of the nodes is open to all. */
function rangesOf({ service }: AIApp["spec"]): readonly NamedValue[] {
  const { type = "LoadBalancer", loadBalancerSourceRanges = [] } = service ?? {};
  if (type === "ClusterIP") return [];
  const field = "spec.service.loadBalancerSourceRanges";
  return [
    ...(loadBalancerSourceRanges.length === 0
      ? [value(field, "of every address", EVERY_ADDRESS)]
      : loadBalancerSourceRanges.map((range) => value(field, range))),
    ...annotationsOf(service, RANGES_ANNOTATION),
  ];
}

function annotationsOf(service: AIApp["spec"]["service"], pattern: RegExp): readonly NamedValue[] {
  return Object.entries(service?.annotations ?? {})
    .filter(([name]) => pattern.test(name))
    .map(([name, text]) =>
      value(
        `spec.service.annotations ${name}`,
        text,
        text.split(",").map((part) => part.trim()),
      ),
    );
}

/** What a partial PodTemplateSpec names. Its shape is not known: whatever is not as it should be is refused elsewhere. */
function podOf(podTemplate: unknown): {
  readonly images: readonly string[];
  readonly serviceAccounts: readonly string[];
} {
  const pod = memberOf(podTemplate, "spec");
  const accounts = [memberOf(pod, "serviceAccountName"), memberOf(pod, "serviceAccount")];
  return {
    images: [
      ...["containers", "initContainers", "ephemeralContainers"].flatMap((list) =>
        itemsOf(memberOf(pod, list)).map((container) => memberOf(container, "image")),
      ),
      ...itemsOf(memberOf(pod, "volumes")).map((volume) =>
        memberOf(memberOf(volume, "image"), "reference"),
      ),
    ].filter((image) => typeof image === "string"),
    serviceAccounts: accounts.flatMap((name) => {
      // Null removes what the operator would write: Kubernetes runs the pods as `default`.
      if (name === null) return ["default"];
      return typeof name === "string" ? [name] : [];
    }),
  };
}
