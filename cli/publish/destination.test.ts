import { describe, expect, test } from "vitest";

import { parseDestination } from "./destination.ts";

describe("a destination", () => {
  test("is a store, a model's name and a version, and its prefix ends in a slash", () => {
    expect(parseDestination("https://contoso.blob.core.windows.net/models/pets/cats/7/")).toEqual({
      store: "https://contoso.blob.core.windows.net/models",
      host: "contoso.blob.core.windows.net",
      account: "contoso",
      container: "models",
      name: "pets/cats",
      version: "7",
      prefix: "pets/cats/7/",
    });
  });

  test("at an IP address has the account in its path, as Azurite does", () => {
    expect(
      parseDestination("http://127.0.0.1:10000/devstoreaccount1/models/cats/1.4.0"),
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
    ["an empty segment", "https://a.blob.core.windows.net/models//7", "not a valid model name"],
    [
      "a parent folder",
      "https://a.blob.core.windows.net/models/cats/../7",
      "not a valid model name",
    ],
    [
      "a parent folder as the version",
      "https://a.blob.core.windows.net/models/cats/..",
      "not a valid version",
    ],
    ["an escape", "https://a.blob.core.windows.net/models/c%2Fats/7", "not a valid model name"],
    ["a SAS token", "https://a.blob.core.windows.net/models/cats/7?sig=secret", "query"],
    ["a SAS token and no scheme", "a.blob.core.windows.net/models/cats/7?sig=secret", "not a Blob"],
    ["an escaped SAS token", "https://a.blob.core.windows.net/models/cats/7%3Fsig=secret", "query"],
    ["a SAS token after &", "https://a.blob.core.windows.net/models/cats/7&sig=secret", "query"],
    ["a password and no scheme", "me:secret@a.blob.core.windows.net/models/cats/7", "not a Blob"],
    ["a password with a slash", "https://me:my/secret@a.example.com/models/cats/7", "not a Blob"],
    ["a password", "https://me:secret@a.blob.core.windows.net/models/cats/7", "password"],
    [
      "a container in capitals",
      "https://a.blob.core.windows.net/Models/cats/7",
      "not a valid container name",
    ],
    ["a range", "https://a.blob.core.windows.net/models/cats/>=7", "not a valid version"],
    ["latest", "https://a.blob.core.windows.net/models/cats/latest", "selects a version"],
    ["an x-range", "https://a.blob.core.windows.net/models/cats/7.x", "selects a version"],
    [
      "a word for a version",
      "https://a.blob.core.windows.net/models/cats/test",
      "AmbiguousVersions",
    ],
    ["a month", "https://a.blob.core.windows.net/models/cats/2026-03", "AmbiguousVersions"],
    ["plain http elsewhere", "http://a.example.com/models/cats/7", "plain http"],
  ])("with %s is a usage error that holds no secret", (_what, to, message) => {
    expect(() => parseDestination(to)).toThrow(
      expect.objectContaining({ code: "Usage", message: expect.stringContaining(message) }),
    );
    expect(() => parseDestination(to)).not.toThrow(/secret/);
  });

  test.each(["7", "v2", "007", "1.4", "1.4.0-rc.1", "1.0.0+linux", "2026-03-01", "20260301T1030"])(
    "may have the version %s, which latest can sort",
    (version) => {
      expect(parseDestination(`https://a.example.com/models/cats/${version}`).version).toBe(
        version,
      );
    },
  );

  test("may have a word as its version with --any-version, but not a range or latest", () => {
    const cats = "https://a.example.com/models/cats";
    expect(parseDestination(`${cats}/test`, { anyVersion: true }).version).toBe("test");
    expect(() => parseDestination(`${cats}/latest`, { anyVersion: true })).toThrow(
      "selects a version",
    );
  });

  test("may be plain http on another machine with --allow-http", () => {
    expect(
      parseDestination("http://a.example.com/models/cats/7", { allowHttp: true }).account,
    ).toBe("a");
  });
});
