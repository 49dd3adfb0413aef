import { readFileSync } from "node:fs";
import { join } from "node:path";

import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { copyOf, startOn } from "./serve.testing.ts";
import type { Server } from "./server.ts";

const examples = join(import.meta.dirname, "..", "examples", "digits");
const pictureOf = (name: string): Uint8Array<ArrayBuffer> =>
  new Uint8Array(readFileSync(join(examples, "pictures", `${name}.png`)));
const bundle = Object.fromEntries(
  ["model.onnx", "labels.txt", "preprocessing.json"].map((file) => [
    file,
    copyOf(join(examples, "models", "2", file)),
  ]),
);

let server: Server;
let close: () => Promise<void>;
beforeAll(async () => {
  ({ server, close } = await startOn(bundle, { MODEL_NAME: "digits", MODEL_VERSION: "2" }));
  await server.loaded;
});
afterAll(async () => close());

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

async function post(
  body: string | FormData | Uint8Array<ArrayBuffer>,
  query = "",
  headers: Record<string, string> = {},
): Promise<Answer> {
  const url = `http://127.0.0.1:${server.port}/score${query}`;
  const response = await fetch(url, { method: "POST", body, headers });
  return { status: response.status, body: await response.json() };
}

function formOf(...names: readonly string[]): FormData {
  const form = new FormData();
  for (const name of names) form.append("image", new File([pictureOf(name)], `${name}.png`));
  return form;
}

function multipart(body: string | Uint8Array<ArrayBuffer>, type: string): Promise<Answer> {
  return post(body, "", { "content-type": type });
}

const error = (message: RegExp): Answer => ({
  status: 400,
  body: { error: expect.stringMatching(message) as string },
});

describe("a form", () => {
  test("has its files scored in order; other fields are ignored", async () => {
    const form = formOf("3", "7");
    form.append("button", "Score");
    expect(await post(form, "?top=1")).toMatchObject({
      status: 200,
      body: { result: [[[["three", expect.any(Number)]], [["seven", expect.any(Number)]]], {}] },
    });
  });

  test.each([
    ["without a file", "--x\r\ncontent-disposition: form-data; name=a\r\n\r\nb\r\n--x--\r\n"],
    ["that is cut short", "--x\r\ncontent-disposition: form-data; name=a"],
    ["that is empty", ""],
    ["of another boundary", "--y\r\n\r\n--y--\r\n"],
  ])("%s gets 400", async (_, body) => {
    expect(await multipart(body, "multipart/form-data; boundary=x")).toEqual(
      error(
        /^the (form has no file: send|body is no valid multipart\/form-data: each part needs the boundary)/,
      ),
    );
  });

  test.each(["multipart/form-data", 'multipart/form-data; boundary="ä"', "multipart/form-data; x"])(
    "of the type %s gets 400",
    async (type) => {
      expect(await multipart("--x--", type)).toEqual(
        error(/has no valid boundary: let the client's library set this header/),
      );
    },
  );

  test("of very many parts is refused before they are read", async () => {
    const part = "--x\r\ncontent-disposition: form-data; name=a; filename=a\r\n\r\n\r\n";
    const body = `${part.repeat(100_000)}--x--\r\n`;
    expect(await multipart(body, "multipart/form-data; boundary=x")).toEqual(
      error(/^the form has too many parts/),
    );
  });

  test("with a file that is no image gets 400", async () => {
    const form = new FormData();
    form.append("image", new File(["text"], "a.png"));
    expect((await post(form)).status).toBe(400);
  });
});

describe("an image of many that cannot be decoded", () => {
  const cut = pictureOf("7").subarray(0, 200);

  test.each([
    ["by its header", new Uint8Array([1, 2, 3])],
    ["by its pixels", cut],
  ])("is named by its place in a list: %s", async (_, bad) => {
    const images = [pictureOf("3"), pictureOf("7"), bad].map((one) =>
      Buffer.from(one).toString("base64"),
    );
    const body = JSON.stringify({ input: [...images, ...images] });
    expect(await post(body, "", { "content-type": "application/json" })).toEqual(
      error(/^image 3 of 6 cannot be decoded \(.+\): send a PNG, JPEG or WebP/),
    );
  });

  test("is named by its place beyond the images of one run", async () => {
    const good = Buffer.from(pictureOf("3")).toString("base64");
    const input = Array<string>(200).fill(good);
    input[150] = Buffer.from(cut).toString("base64");
    const body = JSON.stringify({ input });
    expect(await post(body, "", { "content-type": "application/json" })).toEqual(
      error(/^image 151 of 200 cannot be decoded/),
    );
  });

  test.each([
    ["photo", '"photo"'],
    ['a"\t', String.raw`"a\"\t"`],
    ["x".repeat(5000), `"${"x".repeat(100)}"`],
  ])("is named by its place and field in a form (%#)", async (field, quoted) => {
    const form = formOf("3");
    form.append("button", "Score");
    form.append(field, new File([cut], "7.png"));
    const { status, body } = await post(form);
    expect(status).toBe(400);
    const start = `image 2 of 2 (in the field ${quoted}) cannot be decoded (`;
    expect((body as { error: string }).error.slice(0, start.length)).toBe(start);
  });

  test("has no number where it is the only one", async () => {
    const form = new FormData();
    form.append("photo", new File([cut], "7.png"));
    expect(await post(form)).toEqual(error(/^the image cannot be decoded/));
  });
});

describe("the plain answer", () => {
  test("has names for all that it holds, and probabilities from 0 to 1", async () => {
    expect(await post(formOf("3"), "?top=2&format=plain")).toEqual({
      status: 200,
      body: {
        model: "digits",
        version: "2",
        predictions: [
          [
            { label: "three", probability: 0.980014 },
            { label: "nine", probability: 0.019664 },
          ],
        ],
        milliseconds: expect.any(Number) as number,
      },
    });
  });

  test("of another format is refused", async () => {
    expect(await post(formOf("3"), "?format=xml")).toEqual(
      error(/^format must be tutorial or plain$/),
    );
  });
});
