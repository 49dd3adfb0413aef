import { Validator } from "@seriousme/openapi-schema-validator";
import { expect, test } from "vitest";

import { readConfig } from "./config.ts";
import { createDrain } from "./drain.ts";
import { createApp } from "./http/app.ts";
import type { RouteParts } from "./http/parts.ts";
import { get, identity, infer, serving, tensor } from "./infer.testing.ts";

interface OpenApi {
  readonly paths: Readonly<Record<string, Readonly<Record<string, object>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, object>> };
}

async function documentOf(files = identity("float")): Promise<OpenApi> {
  const server = await serving(files, { MODEL_NAME: "cats", MODEL_VERSION: "7" });
  return (await get(server, "/openapi.json")).body as OpenApi;
}

test("is a valid OpenAPI document", async () => {
  const document = await documentOf();
  const { valid, errors } = await new Validator().validate({ ...document });
  expect(errors).toBeUndefined();
  expect(valid).toBe(true);
});

/** Of the page, or what answers that it does not do this. */
const LEFT_OUT = /^\/ui|^\/v2\/$|\/(load|unload)$/;

test("has every path and method that the server answers, and no other", async () => {
  const config = readConfig({});
  const drain = createDrain(() => 0);
  const app = createApp({ config, drain } as RouteParts);
  const answered = new Set<string>();
  app.addHook("onRoute", ({ method, url }) => {
    const path = url.replace(/:(\w+)/g, "{$1}");
    if (method !== "HEAD" && !LEFT_OUT.test(path)) answered.add(`${String(method)} ${path}`);
  });
  await app.ready();
  const { paths } = await documentOf();
  const described = Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
  expect(new Set(described)).toEqual(answered);
});

test("describes requests by the schemas that check them", async () => {
  const { components } = await documentOf();
  expect(components.schemas["InferRequest"]).toMatchObject({
    required: ["inputs"],
    properties: {
      inputs: {
        maxItems: 1000,
        items: { required: ["name", "shape", "datatype"] },
      },
    },
  });
  expect(components.schemas["ScoreRequest"]).toMatchObject({
    anyOf: [{ properties: { input: expect.anything() } }, { type: "array" }],
  });
});

test("names the only model and version in its paths", async () => {
  const { paths } = await documentOf();
  expect(paths["/v2/models/{name}/versions/{version}/infer"]?.["post"]).toMatchObject({
    parameters: [{ schema: { enum: ["cats"] } }, { schema: { enum: ["7"] } }, {}],
  });
});

test("has a request that the model takes as an example, where it is short", async () => {
  const example = async (dims: readonly (number | string)[]): Promise<unknown> => {
    const { paths } = await documentOf(identity("bool", dims));
    const { post } = paths["/v2/models/{name}/infer"] ?? {};
    return post;
  };
  const request = { inputs: [tensor("x", "BOOL", [1, 2], [false, false])] };
  expect(await example(["N", 2])).toMatchObject({
    requestBody: { content: { "application/json": { example: request } } },
  });
  expect(await example(["N", 33])).not.toMatchObject({
    requestBody: { content: { "application/json": { example: expect.anything() } } },
  });
  const server = await serving(identity("bool"));
  expect((await infer(server, request)).status).toBe(200);
});
