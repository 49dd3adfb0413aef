import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { isHost, isStore } from "./host.ts";

describe("a host", () => {
  it.each(["contoso.azurecr.io", "localhost", "10.0.0.4:5000", "[2603::1]:443", "a-b.example:1"])(
    "%s is one",
    (text) => expect(isHost(text)).toBe(true),
  );

  it.each([
    "",
    "-a.example",
    "a..b",
    "a.example.",
    "a b",
    "8",
    "0x7f.1",
    "127.1",
    "010.0.0.1",
    "a.example:65536",
    "a\\.b",
    "user@a.example",
    "a:b",
    "a/b",
  ])("%s is none", (text) => expect(isHost(text)).toBe(false));
});

describe("a store", () => {
  it.each([
    "https://contoso.blob.core.windows.net/models",
    "https://contoso.blob.core.windows.net/$root",
    "http://127.0.0.1:10000/devstoreaccount1/models",
  ])("%s is one", (text) => expect(isStore(text)).toBe(true));

  it.each([
    "https://evil.example\\.blob.core.windows.net/models",
    "https://evil.example%2f.blob.core.windows.net/models",
    "https://evil.example#.blob.core.windows.net/models",
    "https://user:word@contoso.blob.core.windows.net/models",
    "https://contoso.blob.core.windows.net/models?sig=1",
    "https://contoso.blob.core.windows.net/../models",
    "https://contoso.blob.core.windows.net/models/",
    "https://contoso.blob.core.windows.net",
    "ftp://contoso.blob.core.windows.net/models",
    "https://ｃontoso.blob.core.windows.net/models",
    "https://contoso.blob.core.windows.net/models\n",
  ])("%s is none", (text) => expect(isStore(text)).toBe(false));

  it("has the host that the URL class finds, for any text", () => {
    const part = fc.constantFrom(
      "a",
      ".",
      "-",
      "\\",
      "/",
      "@",
      ":",
      "#",
      "?",
      "%2f",
      "8",
      "[",
      "]",
    );
    const text = fc.array(part, { maxLength: 12 }).map((parts) => parts.join(""));
    const differing = fc
      .sample(text, { numRuns: 5000, seed: 1 })
      .map((rest) => `https://${rest}/models`)
      .filter(isStore)
      .filter((store) => {
        const written = store.slice("https://".length).split("/", 1)[0] ?? "";
        // The URL class refuses IPv6 addresses that are none.
        const { hostname = "" } = URL.parse(store) ?? {};
        return !written.startsWith(hostname);
      });
    expect(differing).toEqual([]);
  });
});
