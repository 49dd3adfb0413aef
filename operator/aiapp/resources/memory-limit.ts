import { allowsRepository } from "../../../crds/grammar/allowance.ts";
import { parseReference } from "../../../crds/grammar/image-reference.ts";
import { containers } from "../../../crds/names.ts";
import { nanosOf } from "../../kube/quantity.ts";
import type { V1Container, V1PodTemplateSpec } from "../../kube/types.ts";
import type { Release } from "../release/identity.ts";
import { bounded, isInMemory, mebibytes, MIB } from "./model-limits.ts";
import { memberOf } from "./unchecked.ts";

/**
 * The memory limit of the project's model server, for an AIApp that sets none. Decision 0024 has the measurements: each
 * worker holds the weights once, and what one run takes; the process holds bodies and queues of up to 512 MiB beside.
 */
const BASE_BYTES = 1024 * MIB;
const WORKER_BYTES = 256 * MIB;
const PER_MODEL_BYTE = 2;

const NANOS_PER_BYTE = 10n ** 9n;
const NANOS_PER_CORE = 10n ** 9n;

/**
 * Adds the limit to a rendered template. Without one stay: images that the administrator does not list as the model
 * server, containers with a limit of the AIApp's, models whose size is not known or that are in memory themselves, and
 * servers whose number of workers is not known: it is that of the node's cores then.
 *
 * @param images repositories, or prefixes of them, whose images are the model server
 */
export function withMemoryLimit(
  template: V1PodTemplateSpec,
  release: Release,
  images: readonly string[],
): V1PodTemplateSpec {
  const { registry, repository } = parseReference(release.image);
  const { modelBytes } = release;
  const isListed = images.some((allowed) => allowsRepository(allowed, registry, repository));
  const all: unknown = template.spec?.containers;
  // spec.podTemplate is merged unchecked.
  if (!isListed || modelBytes === undefined || isInMemory(release) || !Array.isArray(all))
    return template;
  const limited = all.map((container: V1Container | null) =>
    container?.name === containers.server ? withLimit(container, modelBytes) : container,
  );
  return { ...template, spec: { ...template.spec, containers: limited as V1Container[] } };
}

function withLimit(container: V1Container, modelBytes: number): V1Container {
  const { limits, requests } = container.resources ?? {};
  const workers = workersOf(container);
  if (quantityIn(limits, "memory") !== undefined || workers === undefined) return container;
  const bytes = BASE_BYTES + workers * (WORKER_BYTES + PER_MODEL_BYTE * bounded(modelBytes));
  const requested = quantityIn(requests, "memory");
  const isLess = (nanosOf(requested ?? "0") ?? 0n) < BigInt(bytes) * NANOS_PER_BYTE;
  // No limit may be below the request.
  const memory = requested === undefined || isLess ? mebibytes(bytes) : requested;
  return { ...container, resources: { ...container.resources, limits: { ...limits, memory } } };
}

/** The sessions of the model server: `WORKERS`, or one for each core that the container may use. */
function workersOf({ env, envFrom, resources }: V1Container): number | undefined {
  const named = elementsOf(env).find((variable) => variable?.name === "WORKERS");
  if (named) return /^[1-9]\d{0,2}$/.test(named.value ?? "") ? Number(named.value) : undefined;
  const cpu = quantityIn(resources?.limits, "cpu");
  // A ConfigMap may set it.
  if (cpu === undefined || elementsOf(envFrom).length > 0) return undefined;
  const nanos = nanosOf(cpu) ?? 0n;
  return nanos > 0n ? Number((nanos + NANOS_PER_CORE - 1n) / NANOS_PER_CORE) : undefined;
}

/** spec.podTemplate may say a number. */
function quantityIn(values: unknown, name: string): string | undefined {
  const value = memberOf(values, name);
  return typeof value === "string" || typeof value === "number" ? String(value) : undefined;
}

function elementsOf<T>(list: readonly T[] | undefined): readonly (T | null)[] {
  return Array.isArray(list) ? list : [];
}

/** The memory limit of the server container of a template, of the spec or the default. */
export function memoryLimitOf({ spec }: V1PodTemplateSpec): string | undefined {
  const server = spec?.containers.find(({ name }) => name === containers.server);
  return quantityIn(server?.resources?.limits, "memory");
}
