import { isDeepStrictEqual } from "node:util";

import type { Answer } from "./answer.ts";
import { peerNames } from "./models.ts";
import type { Calls, Recorded } from "./record.ts";
import { topics, type Row } from "./rows.ts";

/** The tables of docs/model-server.md, as Markdown. */

const REFUSED = "requests to refuse";

export interface Tables {
  readonly requests: string;
  readonly calls: string;
}

/** @param ours of the model server; what it answers is what the rows expect */
export function summarize({ versions, answers, calls }: Recorded, ours: Calls): Tables {
  const titles = { mlserver: "MLServer", kserve: "KServe" };
  const servers = ["this server", ...peerNames.map((peer) => `${titles[peer]} ${versions[peer]}`)];
  const columns = (rows: readonly Row[]): readonly (readonly [Answer, Answer][])[] => [
    rows.map(({ expected }) => [expected, expected]),
    ...peerNames.map((peer) =>
      rows.map(({ title, expected }): [Answer, Answer] => [
        answers[title]?.[peer] ?? { status: 0 },
        expected,
      ]),
    ),
  ];
  const counted = (
    name: string,
    rows: readonly Row[],
    holds: (answer: Answer, expected: Answer) => boolean,
  ): readonly string[] => [
    name,
    ...columns(rows).map((pairs) => String(pairs.filter((pair) => holds(...pair)).length)),
  ];
  const { [REFUSED]: refused, ...served } = topics;
  const requests = table(
    ["", ...servers],
    [
      ...Object.entries(served).map(([topic, rows]) =>
        counted(`${topic}: ${rows.length} requests`, rows, isDeepStrictEqual),
      ),
      counted(`${REFUSED}: ${refused.length}, answered with 4xx`, refused, inRange(400, 499)),
      counted("– answered with 5xx", refused, inRange(500, 599)),
      counted("– served", refused, inRange(200, 299)),
    ],
  );
  return {
    requests,
    calls: table(["", ...servers], callRows([ours, ...peerNames.map((peer) => calls[peer])])),
  };
}

function inRange(from: number, to: number): (answer: Answer) => boolean {
  return ({ status }) => status >= from && status <= to;
}

/** The number of calls that each server answers, and the calls that one of them does not. */
function callRows(servers: readonly Calls[]): readonly (readonly string[])[] {
  const rows: string[][] = [];
  for (const kind of ["HTTP", "gRPC"] as const) {
    const names = Object.keys(servers[0]?.[kind] ?? {});
    const passed = servers.map((calls) => names.filter((name) => calls[kind][name] === true));
    rows.push([`${kind}: ${names.length} calls`, ...passed.map((calls) => String(calls.length))]);
    for (const name of names.filter((one) => passed.some((calls) => !calls.includes(one))))
      rows.push([`– ${name}`, ...passed.map((calls) => (calls.includes(name) ? "yes" : "no"))]);
  }
  return rows;
}

/** As oxfmt writes it. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((_, column) =>
    Math.max(3, ...[head, ...rows].map((row) => (row[column] ?? "").length)),
  );
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |`;
  return [line(head), line(widths.map((width) => "-".repeat(width))), ...rows.map(line)].join("\n");
}
