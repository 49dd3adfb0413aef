import { OperatorError } from "../errors.ts";
import type { ListOptions } from "./client.ts";
import { pathOf, typed } from "./path.ts";
import { ResponseTooLargeError } from "./response.ts";
import type { Transport } from "./transport.ts";
import type { Kind, KubernetesObject } from "./types.ts";

const PAGE_ITEMS = 500;
const MAX_ITEMS = 100_000;

export interface List<T> {
  readonly items: readonly T[];
  readonly resourceVersion: string;
}

interface Page<T> {
  readonly metadata?: { readonly continue?: string; readonly resourceVersion?: string };
  readonly items: readonly T[];
}

/**
 * All pages of a list. An object may be 1.5 MiB, and a page of many such objects is larger than a response may be: such
 * a page is requested again with half as many objects, down to one.
 */
export async function listObjects<T extends KubernetesObject>(
  transport: Transport,
  kind: Kind<T>,
  { namespace, labelSelector, fieldSelector, maxItems = MAX_ITEMS, resourceVersion }: ListOptions,
  signal: AbortSignal,
): Promise<List<T>> {
  const path = pathOf(kind, namespace);
  const items: T[] = [];
  let position: Readonly<Record<string, string | undefined>> = { resourceVersion };
  let limit = PAGE_ITEMS;
  for (;;) {
    const query = { labelSelector, fieldSelector, limit: String(limit), ...position };
    let page: Page<T>;
    try {
      page = await transport.json<Page<T>>({ method: "GET", path, query }, signal);
    } catch (error) {
      if (!(error instanceof ResponseTooLargeError) || limit === 1) throw error;
      limit = Math.floor(limit / 2);
      // A list from the server's cache knows no pages.
      if (position["resourceVersion"] === "0") position = {};
      continue;
    }
    for (const item of page.items) items.push(typed(kind, item));
    if (items.length > maxItems) throw tooMany(kind, maxItems);
    const { continue: next = "", resourceVersion: listed = "" } = page.metadata ?? {};
    if (next === "") return { items, resourceVersion: listed };
    position = { continue: next };
  }
}

function tooMany(kind: Kind, maxItems: number): OperatorError {
  return new OperatorError(
    "KUBE_UNEXPECTED_RESPONSE",
    `the cluster has more than ${maxItems} ${kind.plural}: watch fewer namespaces`,
  );
}
