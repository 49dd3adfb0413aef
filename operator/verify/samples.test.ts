import { mkdir, mkdtemp, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, describe, expect, it, test } from "vitest";

import { listSamples, readSample } from "./samples.ts";

const MIB = 1024 * 1024;
let bundle: string;

beforeEach(async () => {
  bundle = await mkdtemp(join(tmpdir(), "aiapp-samples-"));
  await mkdir(join(bundle, "samples"));
});
afterEach(async () => rm(bundle, { recursive: true }));

async function put(name: string, content: string | Uint8Array): Promise<void> {
  await writeFile(join(bundle, "samples", name), content);
}

/** A sparse file. */
async function putSize(name: string, bytes: number): Promise<void> {
  await put(name, "");
  await truncate(join(bundle, "samples", name), bytes);
}

function invalid(message: RegExp): object {
  return { code: "SAMPLES_INVALID", message: expect.stringMatching(message) };
}

describe("a list of samples", () => {
  it("has the JSON files in the order of their names", async () => {
    for (const name of ["2.json", "10.json", "readme.md"]) await put(name, "");
    expect(await listSamples(bundle)).toEqual(["samples/10.json", "samples/2.json"]);
  });

  it("is empty when the bundle has no samples", async () => {
    await rm(join(bundle, "samples"), { recursive: true });
    expect(await listSamples(bundle)).toEqual([]);
  });

  it("cannot be made of a bundle that is not there", async () => {
    await expect(listSamples(join(bundle, "nowhere"))).rejects.toMatchObject({
      code: "CONFIG_INVALID",
      message: expect.stringMatching(/nowhere cannot be read \(ENOENT\): mount/),
    });
  });

  it("is refused when samples is a file", async () => {
    await rm(join(bundle, "samples"), { recursive: true });
    await writeFile(join(bundle, "samples"), "");
    await expect(listSamples(bundle)).rejects.toMatchObject(invalid(/^samples .* not a folder/));
  });

  it("is refused beyond a thousand", async () => {
    await Promise.all(Array.from({ length: 1000 }, async (_, index) => put(`${index}.json`, "")));
    expect(await listSamples(bundle)).toHaveLength(1000);
    await put("more.json", "");
    await expect(listSamples(bundle)).rejects.toMatchObject(
      invalid(/1001 samples: publish at most 1000/),
    );
  });

  it("is refused with a sample of more than 16 MiB", async () => {
    await putSize("1.json", 16 * MIB);
    expect(await listSamples(bundle)).toHaveLength(1);
    await putSize("1.json", 16 * MIB + 1);
    await expect(listSamples(bundle)).rejects.toMatchObject(
      invalid(/^samples\/1\.json .* 16777217 bytes: a sample may have 16 MiB/),
    );
  });

  it("is refused when it has more than 256 MiB in all", async () => {
    for (let index = 0; index < 16; index += 1) await putSize(`${index}.json`, 16 * MIB);
    expect(await listSamples(bundle)).toHaveLength(16);
    await put("last.json", "1");
    await expect(listSamples(bundle)).rejects.toMatchObject(invalid(/at most 256 MiB/));
  });

  it("is refused with a link or a folder in place of a sample", async () => {
    await put("real", "{}");
    await symlink("real", join(bundle, "samples", "1.json"));
    await expect(listSamples(bundle)).rejects.toMatchObject(invalid(/1\.json .* plain file/));
    await rm(join(bundle, "samples", "1.json"));
    await mkdir(join(bundle, "samples", "2.json"));
    await expect(listSamples(bundle)).rejects.toMatchObject(invalid(/2\.json .* plain file/));
  });
});

describe("a sample", () => {
  it("has a tolerance of 0.01 unless it says another", async () => {
    await put("1.json", '\uFEFF{"request": {"input": [1]}, "expected": [[2]]}');
    expect(await readSample(bundle, "samples/1.json")).toEqual({
      request: { input: [1] },
      expected: [[2]],
      tolerance: 0.01,
    });
    await put("2.json", '{"request": null, "expected": null, "tolerance": 0}');
    expect(await readSample(bundle, "samples/2.json")).toMatchObject({ tolerance: 0 });
  });

  const deep = `${"[".repeat(1_000_000)}${"]".repeat(1_000_000)}`;
  test.each([
    ["is empty", "", /1\.json of the bundle is not JSON; correct it/],
    ["is not JSON", "{", /is not JSON/],
    ["is not UTF-8", Uint8Array.of(0x22, 0xff, 0x22), /is not UTF-8/],
    ["is not an object", "[]", /lacks the form .*expected object/],
    ["lacks a request", '{"expected": 1}', /request: is missing/],
    ["lacks an expected response", '{"request": 1}', /expected: is missing/],
    ["has an unknown field", '{"request": 1, "expected": 1, "tolerence": 1}', /"tolerence"/],
    ["has a negative tolerance", '{"request": 1, "expected": 1, "tolerance": -1}', /tolerance: /],
    ["has a number beyond any", '{"request": 1, "expected": [1e999]}', /expected: has a number/],
    ["is nested without end", `{"request": ${deep}, "expected": 1}`, /request: is nested deeper/],
  ])("is refused by name when it %s", async (_, content, message) => {
    await put("1.json", content);
    const problem = readSample(bundle, "samples/1.json");
    await expect(problem).rejects.toMatchObject(invalid(/^samples\/1\.json of the bundle /));
    await expect(problem).rejects.toThrow(message);
  });
});
