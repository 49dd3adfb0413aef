import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { sample, string } from "fast-check";
import { describe, expect, test } from "vitest";

import { identity, get, serving } from "./infer.testing.ts";
import { curlOf, pythonOf } from "./page/snippets.js";
import {
  fieldsOf,
  inferBody,
  initialValues,
  readField,
  samplePicture,
  sampleValues,
  scoreBody,
  valuesOf,
} from "./page/values.js";
import { copyOf } from "./serve.testing.ts";
import type { Server } from "./server.ts";

const page = join(import.meta.dirname, "page");
const digits = join(import.meta.dirname, "..", "examples", "digits", "models", "2");

function fetchFrom(server: Server, path: string, accept: string): Promise<Response> {
  return fetch(`http://127.0.0.1:${server.port}${path}`, { headers: { accept } });
}

const BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

describe("the page", () => {
  test("is what a browser gets at / and /ui, and health what others get at /", async () => {
    const server = await serving(identity("float"), { MODEL_NAME: "same", MODEL_VERSION: "7" });
    for (const path of ["/", "/ui"]) {
      const response = await fetchFrom(server, path, BROWSER);
      expect(response.headers.get("content-type")).toBe("text/html; charset=utf-8");
      expect(await response.text()).toContain('src="ui/main.js"');
    }
    for (const accept of ["*/*", "application/json", "application/json, text/plain, */*"]) {
      const response = await fetchFrom(server, "/", accept);
      expect(await response.json()).toEqual({ status: "ready", model: "same", version: "7" });
      expect(response.headers.get("vary")).toBe("accept");
    }
  });

  test("has a policy that lets it load and run nothing but its own files", async () => {
    const server = await serving(identity("float"));
    const policy = (await fetchFrom(server, "/ui", BROWSER)).headers.get("content-security-policy");
    expect(policy).toMatch(/^default-src 'none'; script-src 'self'; style-src 'self';/);
    expect(policy).not.toContain("unsafe");
  });

  test("has every file that its folder holds, and loads", async () => {
    const server = await serving(identity("float"));
    const files = readdirSync(page).filter((name) => /\.(js|css|svg)$/.test(name));
    for (const name of files) {
      const response = await fetchFrom(server, `/ui/${name}`, "*/*");
      expect([name, response.status]).toEqual([name, 200]);
      expect(await response.text()).toBe(readFileSync(join(page, name), "utf8"));
      expect(response.headers.get("x-content-type-options")).toBe("nosniff");
    }
  });

  test("is reached from /ui/ as well, whose relative addresses would miss", async () => {
    const server = await serving(identity("float"));
    const response = await fetchFrom(server, "/ui/", BROWSER);
    expect(response.url).toBe(`http://127.0.0.1:${server.port}/ui`);
  });

  test("is off with UI=off", async () => {
    const server = await serving(identity("float"), { UI: "off" });
    for (const path of ["/ui", "/ui/main.js", "/ui/model.json"])
      expect((await fetchFrom(server, path, BROWSER)).status).toBe(404);
    const home = await fetchFrom(server, "/", BROWSER);
    expect(await home.json()).toMatchObject({ status: "ready" });
  });

  test("gets the inputs of a model of tensors", async () => {
    const server = await serving(identity("float"), { MODEL_NAME: "same", AIAPP_RELEASE: "r1" });
    expect((await get(server, "/ui/model.json")).body).toEqual({
      name: "same",
      version: "",
      release: "r1",
      server: "",
      runtime: "",
      ready: true,
      inputs: [{ name: "x", datatype: "FP32", shape: [-1, 2] }],
      hasLabels: false,
    });
  });

  test("gets what a model of pictures sees, and the first sample", async () => {
    const sample = JSON.parse(readFileSync(join(digits, "samples", "1.json"), "utf8")) as {
      request: unknown;
    };
    const server = await serving({
      "model.onnx": copyOf(join(digits, "model.onnx")),
      "labels.txt": copyOf(join(digits, "labels.txt")),
      "preprocessing.json": copyOf(join(digits, "preprocessing.json")),
      "samples/1.json": sample,
    });
    expect((await get(server, "/ui/model.json")).body).toMatchObject({
      hasLabels: true,
      image: { width: 8, height: 8 },
      sample: sample.request,
    });
  });
});

const model = {
  name: "m",
  version: "",
  release: "",
  server: "",
  runtime: "",
  ready: true,
  hasLabels: true,
};
const flower = { ...model, inputs: [{ name: "input", datatype: "FP32", shape: [-1, 4] }] };
const table = {
  ...model,
  inputs: [
    { name: "job", datatype: "BYTES", shape: [-1, 1] },
    { name: "age", datatype: "INT64", shape: [-1, 1] },
    { name: "flag", datatype: "BOOL", shape: [] },
  ],
};

describe("the page's form", () => {
  test.each([
    ["an array", [[1, 2, 3, 4]]],
    ["an array in input", { input: [[1, 2, 3, 4]] }],
    ["an array in a string", { input: "[[1,2,3,4]]" }],
    ["values by name", { input: { input: [[1, 2, 3, 4]] } }],
  ])("takes its values from a sample of %s", (_, sample) => {
    expect(sampleValues({ ...flower, sample })).toEqual({ input: [[1, 2, 3, 4]] });
  });

  test("shows a sample of images as a picture, not as values", () => {
    const pictures = { ...flower, image: { width: 2, height: 2 }, sample: { input: ["aGk="] } };
    expect(sampleValues(pictures)).toBeUndefined();
    expect(samplePicture(pictures)).toBe("aGk=");
    expect(samplePicture({ ...pictures, sample: { input: '["aGk="]' } })).toBe("aGk=");
  });

  test("begins with zeros and empty text where there is no sample", () => {
    expect(initialValues(table)).toEqual({ job: [[""]], age: [[0]], flag: false });
  });

  test("has a field for each element of a row, named by its input", () => {
    const fields = fieldsOf(flower.inputs, {
      input: [
        [5, 2.5, 3, 1],
        [0, 0, 0, 0],
      ],
    });
    expect(fields?.map(({ label, initial }) => [label, initial])).toEqual([
      ["input[0]", 5],
      ["input[1]", 2.5],
      ["input[2]", 3],
      ["input[3]", 1],
    ]);
    expect(fieldsOf(table.inputs, initialValues(table))?.map(({ label }) => label)).toEqual([
      "job",
      "age",
      "flag",
    ]);
  });

  test.each([
    ["a size that is free", [-1, -1]],
    ["more elements than a form shows", [-1, 3, 224, 224]],
    ["several rows at once", [8, 2]],
  ])("has no fields for an input of %s", (_, shape) => {
    expect(fieldsOf([{ name: "x", datatype: "FP32", shape }], {})).toBeUndefined();
  });

  test.each([
    ["FP32", "1.5", 1.5],
    ["FP32", " -1e3 ", -1000],
    ["FP64", "NaN", "NaN"],
    ["FP32", "", undefined],
    ["FP32", "1,5", undefined],
    ["INT64", "42", 42],
    ["INT64", "9007199254740993", "9007199254740993"],
    ["INT32", "1.5", undefined],
    ["BYTES", " x ", " x "],
    ["BOOL", "true", true],
    ["BOOL", "false", false],
  ])("reads a field of %s: %j", (datatype, text, value) => {
    expect(readField(text, datatype)).toEqual(value);
  });

  test("makes of fields what the server takes, in both protocols", () => {
    const values = valuesOf(table.inputs, ["clerk", 20, true]);
    expect(scoreBody(table.inputs, values)).toEqual({
      input: { job: [["clerk"]], age: [[20]], flag: true },
    });
    expect(inferBody(table.inputs, values)).toEqual({
      inputs: [
        { name: "job", datatype: "BYTES", shape: [1, 1], data: [["clerk"]] },
        { name: "age", datatype: "INT64", shape: [1, 1], data: [[20]] },
        { name: "flag", datatype: "BOOL", shape: [], data: [true] },
      ],
    });
    expect(scoreBody(flower.inputs, valuesOf(flower.inputs, [1, 2, 3, 4]))).toEqual({
      input: [[1, 2, 3, 4]],
    });
  });
});

describe("the request to copy", () => {
  const text = string({ unit: "grapheme", minLength: 1 }).filter((one) => !one.includes("\0"));
  const request = (json: string) => ({
    url: "http://h/score?top=5",
    contentType: "application/json",
    body: { json },
    hasKey: true,
  });

  test("is one that a shell passes on as it is, whatever it holds", () => {
    const texts = sample(text, 50);
    const script = texts.map((json) => `${curlOf(request(json))}\n`).join("");
    const program = `curl() { for word do printf '%s\\0' "$word"; done; }\nAPI_KEY=k\n${script}`;
    const words = execFileSync("sh", ["-c", program]).toString().split("\0");
    const expected = texts.flatMap((json) => [
      "--header",
      "Authorization: Bearer k",
      "--header",
      "Content-Type: application/json",
      "--data-raw",
      json,
      "http://h/score?top=5",
    ]);
    expect(words.slice(0, -1)).toEqual(expected);
  });

  test("names a key by a variable, never by its value, and only where there is one", () => {
    expect(pythonOf(request("{}"))).toContain('os.environ["API_KEY"]');
    expect(pythonOf({ ...request("{}"), hasKey: false })).not.toContain("API_KEY");
    expect(curlOf({ ...request("{}"), hasKey: false })).not.toContain("API_KEY");
  });
});
