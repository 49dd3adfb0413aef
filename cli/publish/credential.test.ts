import {
  AggregateAuthenticationError,
  AuthenticationError,
  CredentialUnavailableError,
} from "@azure/identity";
import { describe, expect, test } from "vitest";

import { credentialFromEnvironment, identityError, openContainer } from "./credential.ts";
import { parseDestination } from "./destination.ts";

const azure = parseDestination("https://contoso.blob.core.windows.net/models/cats/7");

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

  test("of another account is refused before a request is sent", async () => {
    const other = { kind: "AccountKey", accountName: "fabrikam", accountKey: "a2V5" } as const;
    await expect(openContainer(azure, other)).rejects.toMatchObject({ code: "CredentialsInvalid" });
  });

  test("of an Azure identity is not sent to a host outside Azure", async () => {
    const elsewhere = parseDestination("https://contoso.example.com/models/cats/7");
    await expect(openContainer(elsewhere, { kind: "Identity" })).rejects.toMatchObject({
      code: "CredentialsMissing",
    });
    const lookalike = parseDestination("https://blob.core.windows.net.example.com/models/c/7");
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

describe("an Azure identity", () => {
  const absent = new CredentialUnavailableError("Azure CLI could not be found.");
  const refused = new AuthenticationError(401, {
    error: "invalid_client",
    error_description:
      "AADSTS7000222: The provided client secret keys for app '1' are expired. Trace ID: 2 Timestamp: 3\r\nbody: client_secret=hush",
  });

  test.each([
    ["alone", absent],
    ["in a chain", new AggregateAuthenticationError([absent, absent], "none")],
  ])("that is missing (%s) is an error that lists the ways to log in", (_what, error) => {
    expect(identityError(error)).toMatchObject({
      code: "CredentialsMissing",
      message: "No Azure identity was found",
      fix: expect.stringContaining("az login"),
    });
  });

  test.each([
    ["alone", refused],
    ["in a chain", new AggregateAuthenticationError([absent, refused], "none")],
  ])(
    "that Entra ID refuses (%s) is an error with Entra ID's reason, in one line",
    (_what, error) => {
      expect(identityError(error)).toMatchObject({
        code: "CredentialsInvalid",
        message:
          "The Azure identity got no token: AADSTS7000222: The provided client secret keys for app '1' are expired.",
      });
    },
  );

  test("that fails for another reason is an error in one line, without secrets", () => {
    const away = new AuthenticationError(400, {
      error:
        "EnvironmentCredential authentication failed. To troubleshoot, visit https://aka.ms/x.",
      error_description: "network_error: See https://aka.ms/y for details",
    });
    expect(identityError(away).message).toBe(
      "The Azure identity got no token: network_error: See https://aka.ms/y for details",
    );
    const proxy = new AuthenticationError(502, "<html>client_secret=hush</html>");
    expect(identityError(proxy).message).toBe(
      "The Azure identity got no token: unknown_error Status code: 502",
    );
    const echo = new AuthenticationError(400, {
      error: "invalid_request",
      error_description: "AADSTS900144: bad body grant_type=x&client_secret=hush&scope=y",
    });
    expect(identityError(echo).message).not.toContain("hush");
  });
});
