import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { describe, expect, onTestFinished, test, vi } from "vitest";

import { identity, send, serving, type Answered } from "./infer.testing.ts";
import type { Server } from "./server.ts";

/** What JSON is taken, and what is refused: `POST /score` and `POST …/infer` do the same. */

const INFER = "/v2/models/model/infer";
const JSON_TYPE = { "content-type": "application/json" };

const forms = {
  "/score": (values: string) => `{"input": {"x": ${values}}}`,
  [INFER]: (values: string, datatype: string, shape: string) =>
    `{"inputs": [{"name": "x", "datatype": "${datatype}", "shape": ${shape}, "data": ${values}}]}`,
} as const;
const paths = Object.keys(forms) as (keyof typeof forms)[];

async function ask(
  server: Server,
  path: keyof typeof forms,
  body: string | Uint8Array,
): Promise<Answered> {
  return send(server, body, JSON_TYPE, path);
}

function refused(message: RegExp): object {
  return { status: 400, body: { error: expect.stringMatching(message) as string } };
}

describe.each(paths)("text in JSON for POST %s", (path) => {
  const form = (text: string): string => forms[path](`[["${text}"]]`, "BYTES", "[1, 1]");
  const texts = identity("string", ["N", 1]);

  test("that is not UTF-8 is refused, and not changed", async () => {
    const server = await serving(texts);
    const body = Buffer.from(form("a\xffb"), "latin1");
    expect(await ask(server, path, body)).toMatchObject(refused(/^the body is not UTF-8: /));
  });

  test.each([String.raw`\ud800`, String.raw`a\udc00b`, String.raw`\ude00\ud83d`])(
    "that is half of a pair of surrogates is refused, and not changed: %s",
    async (text) => {
      const server = await serving(texts);
      expect(await ask(server, path, form(text))).toMatchObject(
        refused(/ holds text with a lone surrogate, such as "\\ud800": send both halves/),
      );
    },
  );

  test("that has characters beyond 16 bits is given as it is", async () => {
    const server = await serving(texts);
    const answer = await ask(server, path, form(String.raw`\ud83d\ude00 😀`));
    expect(answer.status).toBe(200);
    expect(JSON.stringify(answer.body)).toContain("😀 😀");
  });
});

describe.each(paths)("a body for POST %s", (path) => {
  const form = (values: string): string => forms[path](`[[${values}]]`, "FP32", "[1, 2]");

  test("may begin with a byte order mark", async () => {
    const server = await serving(identity("float"));
    expect((await ask(server, path, `\ufeff${form("1, 2")}`)).status).toBe(200);
    expect(await ask(server, path, "\ufeff")).toMatchObject(refused(/^the body is empty: /));
  });

  test("may have fields that are not known, of any name", async () => {
    const server = await serving(identity("float"));
    const fields = `{"__proto__": {"input": 7, "inputs": 7}, "constructor": {"prototype": 7}, `;
    expect((await ask(server, path, form("1, 2").replace("{", fields))).status).toBe(200);
  });

  test("cannot name an input that the model does not have, whatever its name", async () => {
    const server = await serving(identity("float"));
    for (const name of ["__proto__", "constructor", "toString"]) {
      const body = form("1, 2").replace('"x"', JSON.stringify(name));
      expect(await ask(server, path, body)).toMatchObject(
        refused(RegExp(`^the model has no input "${name}": it takes x$`)),
      );
    }
  });

  test("that is no JSON is refused with the place and with what to send instead", async () => {
    const server = await serving(identity("float"));
    const body = form("1,\n NaN");
    expect(await ask(server, path, body)).toMatchObject(
      refused(
        /^the body is not JSON: "N" at line 2, column 2 cannot stand there: JSON has no NaN: send "NaN" as text$/,
      ),
    );
  });
});

describe.each(paths)("integers of 64 bits for POST %s", (path) => {
  const form = (values: string, datatype: string): string =>
    forms[path](`[[${values}]]`, datatype, "[1, 2]");

  test("keep their digits beyond 2^53, as numbers and as text", async () => {
    const server = await serving(identity("int64"));
    const answer = await ask(server, path, form('9007199254740993, "-9007199254740993"', "INT64"));
    expect(answer.status).toBe(200);
    const digits = ["9007199254740993", "-9007199254740993"];
    const expected = path === INFER ? { outputs: [{ data: digits }] } : { result: [[digits], {}] };
    expect(answer.body).toMatchObject(expected);
  });

  test("reach to the ends of their datatypes, and no further", async () => {
    const signed = await serving(identity("int64"));
    const unsigned = await serving(identity("uint64"));
    const most = form("9223372036854775807, -9223372036854775808", "INT64");
    expect((await ask(signed, path, most)).status).toBe(200);
    const mostUnsigned = form("18446744073709551615, 0", "UINT64");
    expect((await ask(unsigned, path, mostUnsigned)).status).toBe(200);
    expect(await ask(signed, path, form("9223372036854775808, 0", "INT64"))).toMatchObject(
      refused(/ holds 9223372036854775808, which is no INT64$/),
    );
    expect(await ask(unsigned, path, form("18446744073709551616, 0", "UINT64"))).toMatchObject(
      refused(/ holds 18446744073709551616, which is no UINT64$/),
    );
  });

  test("are whole, and written with all digits", async () => {
    const server = await serving(identity("int64"));
    expect(await ask(server, path, form("1.5, 0", "INT64"))).toMatchObject(
      refused(/ holds 1\.5, which is no whole number$/),
    );
    expect(await ask(server, path, form("1e17, 0", "INT64"))).toMatchObject(
      refused(/ holds 100000000000000000, whose digits may not be exact: send all digits as text/),
    );
  });
});

test("a size or an id with more digits than a double has is refused as it was sent", async () => {
  const server = await serving(identity("int64"));
  const form = (fields: string): string =>
    `{${fields}"inputs": [{"name": "x", "datatype": "INT64", "shape": [9007199254740993, 2], "data": []}]}`;
  expect(await ask(server, INFER, form(""))).toMatchObject(
    refused(/^inputs\[0\]\.shape\[0\] is 9007199254740993, which is beyond 2\^53$/),
  );
  expect(await ask(server, INFER, form('"id": 9007199254740993, '))).toMatchObject(
    refused(/^id must be text, and is 9007199254740993$/),
  );
});

test("an array in a string keeps the digits of integers beyond 2^53, for POST /score", async () => {
  const server = await serving(identity("int64"));
  const answer = await ask(server, "/score", '{"input": "[[9007199254740993, 1]]"}');
  expect(answer.body).toMatchObject({ result: [[["9007199254740993", 1]], {}] });
});

test("an array in a string that breaks is refused with the place, for POST /score", async () => {
  const server = await serving(identity("float"));
  expect(await ask(server, "/score", '{"input": "[[1, Infinity]]"}')).toMatchObject(
    refused(
      /^input is a string that is not JSON: "I" at line 1, column 6 cannot stand there: JSON has no infinities: send "Infinity" or "-Infinity" as text$/,
    ),
  );
});

test.each([
  ["by name", '{"input": {"x": [[9007199254740993, 1]]}}'],
  ["without a name", '{"input": [[9007199254740993, 1]]}'],
  ["in a string", '{"input": "[[9007199254740993, 1]]"}'],
])("a sample that is kept has all digits of large integers: %s", async (_, body) => {
  const folder = await mkdtemp(join(tmpdir(), "aiapp-record-"));
  onTestFinished(async () => rm(folder, { recursive: true }));
  const server = await serving(identity("int64"), { RECORD_SAMPLES: "1", RECORD_DIR: folder });
  expect((await ask(server, "/score", body)).status).toBe(200);
  const file = await vi.waitFor(async () => {
    const [name = ""] = await readdir(join(folder, "samples"));
    expect(name).toMatch(/^\d.*\.json$/);
    return join(folder, "samples", name);
  });
  const sample: unknown = JSON.parse(await readFile(file, "utf8"));
  await serving({ ...identity("int64"), "samples/kept.json": sample as object });
  expect(sample).toMatchObject({ expected: [["9007199254740993", 1]] });
});
