import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";

import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { startOn } from "../../model-server/serve.testing.ts";
import { send } from "../differential/answer.ts";
import { callAll } from "../differential/client.ts";
import { differences } from "../differential/differences.ts";
import { models, peerNames } from "../differential/models.ts";
import { readRecorded, type Calls } from "../differential/record.ts";
import { rows } from "../differential/rows.ts";
import { summarize } from "../differential/summary.ts";
import { findPython } from "../support/python.ts";

/**
 * The same requests to the model server as to the real MLServer and KServe, whose answers `npm run differential -- --record`
 * has written down.
 */

const INSTALL_MS = 600_000;
const recorded = await readRecorded();
const python = await findPython();
const reason = python === undefined ? " (skipped: python3 with venv is not installed)" : "";

describe("the model server", () => {
  const started = new Map<string, Awaited<ReturnType<typeof startOn>>>();
  const portOf = (name: string): number =>
    (started.get(name) ?? started.get("add"))?.server.port ?? 0;

  beforeAll(async () => {
    for (const [name, files] of Object.entries(models)) {
      const environment = { MODEL_NAME: name, MODEL_VERSION: "1", GRPC_PORT: "0" };
      const one = await startOn(files, environment);
      started.set(name, one);
      await one.server.loaded;
    }
  });
  afterAll(async () => {
    for (const { close } of started.values()) await close();
  });

  test.each(rows.map((row) => [row.title, row] as const))(
    "answers %s as the protocol says",
    async (_, { request, expected }) => {
      const model = /^\/v2\/models\/(\w+)/.exec(request.path)?.[1] ?? "";
      expect(await send(`http://127.0.0.1:${portOf(model)}`, request)).toEqual(expected);
    },
  );

  test.skipIf(python === undefined)(
    `answers every call of tritonclient that others are sent${reason}`,
    async () => {
      const { port, grpcPort } = started.get("add")?.server ?? {};
      const calls = await callAll(`127.0.0.1:${port}`, `127.0.0.1:${grpcPort}`);
      expect(calls).toEqual(allTrue(calls));
      for (const peer of peerNames) expect(namesOf(recorded.calls[peer])).toEqual(namesOf(calls));
    },
    INSTALL_MS,
  );
});

describe.each(peerNames)("an answer of %s", (peer) => {
  const own = differences.filter(({ peers }) => peers.includes(peer));

  test("that differs has one reason, and only such an answer has", () => {
    const differing = rows
      .filter(
        ({ title, expected }) => !isDeepStrictEqual(recorded.answers[title]?.[peer], expected),
      )
      .map(({ title }) => title);
    expect(own.flatMap(({ requests }) => requests).toSorted()).toEqual(differing.toSorted());
  });

  test("is recorded for every request, and for no other", () => {
    expect(Object.keys(recorded.answers)).toEqual(rows.map(({ title }) => title));
    expect(Object.values(recorded.answers).every((answers) => answers[peer])).toBe(true);
  });
});

test("the documentation has the tables of these answers", async () => {
  const docs = await readFile(
    join(import.meta.dirname, "..", "..", "docs", "model-server.md"),
    "utf8",
  );
  const tables = summarize(recorded, allTrue(recorded.calls[peerNames[0]]));
  expect(docs).toContain(tables.requests);
  expect(docs).toContain(tables.calls);
});

function allTrue(calls: Calls): Calls {
  const each = (kind: Readonly<Record<string, boolean>>): Record<string, boolean> =>
    Object.fromEntries(Object.keys(kind).map((name) => [name, true]));
  return { HTTP: each(calls.HTTP), gRPC: each(calls.gRPC) };
}

function namesOf(calls: Calls): readonly (readonly string[])[] {
  return [Object.keys(calls.HTTP), Object.keys(calls.gRPC)];
}
