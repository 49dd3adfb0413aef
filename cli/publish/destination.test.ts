import { describe, expect, test } from "vitest";

import { parseDestination } from "./destination.ts";

describe("a destination", () => {
  test("is a store, a model's name and a version, and its prefix ends in a slash", () => {
    expect(
      parseDestination("https://contoso.blob.core.windows.net/models/pets/cats/7/", false),
    ).toEqual({
      store: "https://contoso.blob.core.windows.net/models",
      host: "contoso.blob.core.windows.net",
      account: "contoso",
      container: "models",
      name: "pets/cats",
      version: "7",
      prefix: "pets/cats/7/",
    });
  });

  test("on an address has the account in its path, as Azurite does", () => {
    expect(
      parseDestination("http://127.0.0.1:10000/devstoreaccount1/models/cats/1.4.0", false),
    ).toMatchObject({
      store: "http://127.0.0.1:10000/devstoreaccount1/models",
      account: "devstoreaccount1",
      container: "models",
      name: "cats",
      version: "1.4.0",
    });
  });

  test.each([
    ["no URL", "models/cats/7", "not a Blob URL"],
    ["another protocol", "s3://models/cats/7", "not a Blob URL"],
    ["no model", "https://a.blob.core.windows.net/models/7", "names no container"],
    ["an empty segment", "https://a.blob.core.windows.net/models//7", "model's name"],
    ["a climb", "https://a.blob.core.windows.net/models/cats/../7", "model's name"],
    ["a version that climbs", "https://a.blob.core.windows.net/models/cats/..", "a version"],
    ["an escape", "https://a.blob.core.windows.net/models/c%2Fats/7", "model's name"],
    ["a SAS token", "https://a.blob.core.windows.net/models/cats/7?sig=secret", "query"],
    ["a password", "https://me:secret@a.blob.core.windows.net/models/cats/7", "password"],
    ["a container in capitals", "https://a.blob.core.windows.net/Models/cats/7", "a container"],
    ["a range", "https://a.blob.core.windows.net/models/cats/>=7", "a version"],
    ["latest", "https://a.blob.core.windows.net/models/cats/latest", "choice among versions"],
    ["an x-range", "https://a.blob.core.windows.net/models/cats/7.x", "choice among versions"],
    ["plain http elsewhere", "http://a.example.com/models/cats/7", "plain http"],
  ])("with %s is wrong usage, and no secret is repeated", (_what, to, message) => {
    expect(() => parseDestination(to, false)).toThrow(
      expect.objectContaining({ code: "Usage", message: expect.stringContaining(message) }),
    );
    expect(() => parseDestination(to, false)).not.toThrow(/secret/);
  });

  test("may be plain http on another machine when that is said", () => {
    expect(parseDestination("http://a.example.com/models/cats/7", true).account).toBe("a");
  });
});
