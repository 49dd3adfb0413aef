import { describe, expect, test } from "vitest";

import { credentialFromEnvironment, openContainer } from "./credential.ts";
import { parseDestination } from "./destination.ts";

const azure = parseDestination("https://contoso.blob.core.windows.net/models/cats/7", false);

describe("the credential", () => {
  test.each([
    ["nothing set", {}, { kind: "Identity" }],
    ["a key", { AZURE_STORAGE_KEY: "a2V5" }, { kind: "AccountKey", accountKey: "a2V5" }],
    ["a SAS token", { AZURE_STORAGE_SAS_TOKEN: "sv=1" }, { kind: "SasToken", sasToken: "sv=1" }],
    [
      "a connection string with a key",
      { AZURE_STORAGE_CONNECTION_STRING: "AccountName=contoso;AccountKey=a2V5==;EndpointSuffix=x" },
      { kind: "AccountKey", accountName: "contoso", accountKey: "a2V5==" },
    ],
    [
      "a connection string with a SAS token",
      {
        AZURE_STORAGE_CONNECTION_STRING: "BlobEndpoint=https://x;SharedAccessSignature=sv=1&sig=2",
      },
      { kind: "SasToken", sasToken: "sv=1&sig=2" },
    ],
  ])("with %s is taken from the environment", (_what, env, credential) => {
    expect(credentialFromEnvironment(env)).toEqual(credential);
  });

  test("of a connection string without a secret is refused without repeating it", () => {
    const env = { AZURE_STORAGE_CONNECTION_STRING: "AccountName=hush" };
    expect(() => credentialFromEnvironment(env)).toThrow(
      expect.objectContaining({ code: "CredentialsInvalid" }),
    );
    expect(() => credentialFromEnvironment(env)).not.toThrow(/hush/);
  });

  test("of another account is refused before anything is sent", async () => {
    const other = { kind: "AccountKey", accountName: "fabrikam", accountKey: "a2V5" } as const;
    await expect(openContainer(azure, other)).rejects.toMatchObject({ code: "CredentialsInvalid" });
  });

  test("of Azure itself is never sent to a host that is not Azure's", async () => {
    const elsewhere = parseDestination("https://contoso.example.com/models/cats/7", false);
    await expect(openContainer(elsewhere, { kind: "Identity" })).rejects.toMatchObject({
      code: "CredentialsMissing",
    });
    const lookalike = parseDestination(
      "https://blob.core.windows.net.example.com/models/c/7",
      false,
    );
    await expect(openContainer(lookalike, { kind: "Identity" })).rejects.toMatchObject({
      code: "CredentialsMissing",
    });
    expect((await openContainer(azure, { kind: "Identity" })).url).toBe(azure.store);
  });

  test("that is a SAS token may begin with a question mark", async () => {
    const container = await openContainer(azure, { kind: "SasToken", sasToken: "?sv=1" });
    expect(container.url).toBe(`${azure.store}?sv=1`);
  });
});
