import { readFile } from "node:fs/promises";

import { z } from "zod";

/** What of a V8 heap snapshot is needed to sum up sizes. */
const Snapshot = z.object({
  snapshot: z.object({
    meta: z.object({
      node_fields: z.array(z.string()),
      node_types: z.tuple([z.array(z.string())], z.unknown()),
    }),
  }),
  nodes: z.array(z.number()),
  strings: z.array(z.string()),
});

export interface HeapGroup {
  readonly name: string;
  readonly count: number;
  readonly bytes: number;
}

export interface HeapSummary {
  /** The biggest groups: self sizes by type of node, objects by constructor. */
  readonly groups: readonly HeapGroup[];
  /** What sharing equal strings would save. */
  readonly duplicateStringBytes: number;
}

export async function summarizeHeap(file: string, limit: number): Promise<HeapSummary> {
  const { snapshot, nodes, strings } = Snapshot.parse(JSON.parse(await readFile(file, "utf8")));
  const { node_fields: fields, node_types } = snapshot.meta;
  const types = node_types[0];
  const [type, name, size] = ["type", "name", "self_size"].map((field) => fields.indexOf(field));
  const groups = new Map<string, { count: number; bytes: number }>();
  const seen = new Set<number>();
  let duplicateStringBytes = 0;
  for (let at = 0; at < nodes.length; at += fields.length) {
    const kind = types[nodes[at + (type ?? 0)] ?? 0] ?? "";
    if (kind === "string") {
      const text = nodes[at + (name ?? 0)] ?? 0;
      if (seen.has(text)) duplicateStringBytes += nodes[at + (size ?? 0)] ?? 0;
      seen.add(text);
    }
    const named = kind === "object" || kind === "native" || kind === "closure";
    const label = named ? `${kind} ${strings[nodes[at + (name ?? 0)] ?? 0] ?? ""}` : kind;
    const group = groups.get(label) ?? { count: 0, bytes: 0 };
    group.count += 1;
    group.bytes += nodes[at + (size ?? 0)] ?? 0;
    groups.set(label, group);
  }
  return {
    groups: [...groups]
      .map(([label, group]) => ({ name: label.slice(0, 60), ...group }))
      .toSorted((a, b) => b.bytes - a.bytes)
      .slice(0, limit),
    duplicateStringBytes,
  };
}
