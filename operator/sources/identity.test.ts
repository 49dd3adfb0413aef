import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { OperatorError } from "../errors.ts";
import { identityKey, registryIdentity, storageIdentity, type SecretData } from "./identity.ts";

const HOST = "contoso.azurecr.io";
const KEY = Buffer.from("a key of the account").toString("base64");

function secret(data: Record<string, string>): SecretData {
  return { namespace: "shop", name: "login", data };
}

function dockerConfig(config: unknown): SecretData {
  return secret({ ".dockerconfigjson": JSON.stringify(config) });
}

function encoded(user: string, password: string): string {
  return Buffer.from(`${user}:${password}`).toString("base64");
}

/** What is thrown, as far as people see it. */
function messageOf(read: () => unknown): string {
  try {
    read();
  } catch (error) {
    if (error instanceof OperatorError && error.code === "SECRET_INVALID") return error.message;
    throw error;
  }
  throw new Error("nothing was thrown");
}

describe("the login of a registry", () => {
  const basic = { kind: "basic", username: "cat", password: "meow" };

  it.each([
    { form: "user and password", entry: { username: "cat", password: "meow" } },
    { form: "auth", entry: { auth: encoded("cat", "meow") } },
    { form: "both", entry: { username: "cat", password: "meow", auth: encoded("dog", "woof") } },
    { form: "auth with more beside it", entry: { auth: encoded("cat", "meow"), email: "a@b.c" } },
  ])("is read from $form", ({ entry }) => {
    expect(registryIdentity(dockerConfig({ auths: { [HOST]: entry } }), HOST)).toEqual(basic);
  });

  it("keeps colons and letters of any kind in the password", () => {
    const entry = { auth: encoded("cat", "mé:ow:") };
    expect(registryIdentity(dockerConfig({ auths: { [HOST]: entry } }), HOST)).toMatchObject({
      password: "mé:ow:",
    });
  });

  it.each([[`https://${HOST}`], [`https://${HOST}/v2/`], [`http://${HOST}/`], [`${HOST}/v1`]])(
    "is found under %s",
    (name) => {
      const auths = { other: {}, [name]: { auth: encoded("cat", "meow") } };
      expect(registryIdentity(dockerConfig({ auths }), HOST)).toEqual(basic);
    },
  );

  it.each([["evil.example"], [`${HOST}.evil.example`], ["azurecr.io"], [`${HOST}:8443`]])(
    "is not that of %s",
    (name) => {
      const auths = { [name]: { auth: encoded("cat", "meow") } };
      expect(messageOf(() => registryIdentity(dockerConfig({ auths }), HOST))).toBe(
        `Secret shop/login has no login for ${HOST}: add one with kubectl create secret docker-registry --docker-server ${HOST}`,
      );
    },
  );

  it.each([["docker.io"], ["https://index.docker.io/v1/"]])(
    "of Docker Hub is found under %s",
    (name) => {
      const auths = { [name]: { auth: encoded("cat", "meow") } };
      expect(registryIdentity(dockerConfig({ auths }), "docker.io")).toEqual(basic);
    },
  );

  it.each([
    { what: "no such key", data: {}, expected: "lacks the key .dockerconfigjson" },
    { what: "no JSON", data: { ".dockerconfigjson": "{meow" }, expected: "is not a Docker config" },
    { what: "no auths", data: { ".dockerconfigjson": "{}" }, expected: "is not a Docker config" },
    {
      what: "an entry without a login",
      data: { ".dockerconfigjson": JSON.stringify({ auths: { [HOST]: {} } }) },
      expected: `the login for ${HOST} lacks a user name or a password`,
    },
    {
      what: "an auth without a colon",
      data: {
        ".dockerconfigjson": JSON.stringify({
          auths: { [HOST]: { auth: Buffer.from("meow").toString("base64") } },
        }),
      },
      expected: `the login for ${HOST} lacks a user name or a password`,
    },
  ])("is refused with $what", ({ data, expected }) => {
    const message = messageOf(() => registryIdentity(secret(data), HOST));
    expect(message).toContain("Secret shop/login");
    expect(message).toContain(expected);
    expect(message).not.toContain("meow");
  });
});

describe("the identity for a store", () => {
  it("is an account key, without the line end that it was made with", () => {
    expect(storageIdentity(secret({ accountName: "models\n", accountKey: `${KEY}\n` }))).toEqual({
      kind: "accountKey",
      accountName: "models",
      accountKey: KEY,
    });
  });

  it("is a SAS token before a key, without its question mark", () => {
    const data = { sasToken: "?sv=2026&sig=x\n", accountName: "models", accountKey: KEY };
    expect(storageIdentity(secret(data))).toEqual({ kind: "sas", sasToken: "sv=2026&sig=x" });
  });

  it.each([
    { data: {}, lacks: "the keys accountName and accountKey, or the key sasToken" },
    { data: { sasToken: "" }, lacks: "the keys accountName and accountKey, or the key sasToken" },
    { data: { accountName: "models" }, lacks: "the key accountKey" },
    { data: { accountName: "models", accountKey: "" }, lacks: "the key accountKey" },
    { data: { accountKey: KEY }, lacks: "the key accountName" },
  ])("is missing in $data", ({ data, lacks }) => {
    expect(messageOf(() => storageIdentity(secret(data)))).toBe(
      `Secret shop/login lacks ${lacks}: add it, and check its spelling`,
    );
  });

  it("is refused with a key that is none", () => {
    const data = { accountName: "models", accountKey: "DefaultEndpointsProtocol=https;" };
    expect(messageOf(() => storageIdentity(secret(data)))).toContain("accountKey is not base64");
  });
});

describe("secrets", () => {
  it("are in no message, for any content of a Secret", () => {
    const word = fc.stringMatching(/^[a-zA-Z0-9!%]{12}$/);
    const broken = fc.constantFrom(
      (text: string) => secret({ accountName: "models", accountKey: `${text}!` }),
      (text: string) => secret({ accountKey: text }),
      (text: string) => secret({ ".dockerconfigjson": `{"auths":{"${HOST}":{"auth":"${text}"` }),
      (text: string) => secret({ ".dockerconfigjson": `"${text}"` }),
      (text: string) => dockerConfig({ auths: { [HOST]: { password: text } } }),
      (text: string) => dockerConfig({ auths: { [HOST]: { auth: text } } }),
      (text: string) => dockerConfig({ auths: { [HOST]: { username: 1, password: text } } }),
    );
    fc.assert(
      fc.property(word, broken, (word, make) => {
        const data = make(word);
        for (const read of [
          () => storageIdentity(data),
          () => registryIdentity(data, HOST),
          () => registryIdentity(data, "other.example"),
        ]) {
          let thrown: unknown;
          try {
            read();
          } catch (error) {
            thrown = error;
          }
          const texts = thrown instanceof Error ? [thrown.message, String(thrown.cause)] : [];
          expect(texts.join(" ")).not.toContain(word);
        }
      }),
    );
  });

  it("are distinguished by a key that does not reveal them", () => {
    const first = identityKey({ kind: "sas", sasToken: "sig=one" });
    const second = identityKey({ kind: "sas", sasToken: "sig=two" });
    expect(first).not.toBe(second);
    expect(first).toBe(identityKey({ kind: "sas", sasToken: "sig=one" }));
    expect(first).toMatch(/^[0-9a-f]{64}$/);
  });
});
