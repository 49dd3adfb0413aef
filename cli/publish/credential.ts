import { ContainerClient, StorageSharedKeyCredential } from "@azure/storage-blob";

import { CliError, reasonOf } from "../errors.ts";
import type { Destination } from "./destination.ts";

export type StorageCredential =
  | { readonly kind: "AccountKey"; readonly accountName?: string; readonly accountKey: string }
  | { readonly kind: "SasToken"; readonly sasToken: string }
  /** `az login`, workload identity, managed identity or a service principal's environment. */
  | { readonly kind: "Identity" };

/** Azure's own Blob hosts. An Azure token goes to no other host, which could steal it. */
const azureSuffixes = [
  ".blob.core.windows.net",
  ".blob.storage.azure.net",
  ".blob.core.chinacloudapi.cn",
  ".blob.core.usgovcloudapi.net",
];

const ways =
  "Run az login (the account needs the role Storage Blob Data Contributor), or set AZURE_STORAGE_SAS_TOKEN, AZURE_STORAGE_KEY or AZURE_STORAGE_CONNECTION_STRING.";

/** The same variables that the `az storage` commands read. */
export function credentialFromEnvironment(
  env: Readonly<Record<string, string | undefined>>,
): StorageCredential {
  const connection = env["AZURE_STORAGE_CONNECTION_STRING"];
  if (connection) return fromConnectionString(connection);
  const accountKey = env["AZURE_STORAGE_KEY"];
  const accountName = env["AZURE_STORAGE_ACCOUNT"];
  if (accountKey) {
    return { kind: "AccountKey", accountKey, ...(accountName ? { accountName } : {}) };
  }
  const sasToken = env["AZURE_STORAGE_SAS_TOKEN"];
  if (sasToken) return { kind: "SasToken", sasToken };
  return { kind: "Identity" };
}

function fromConnectionString(connection: string): StorageCredential {
  const parts = new Map(
    connection.split(";").map((part): [string, string] => {
      const at = part.indexOf("=");
      return [part.slice(0, at).trim(), part.slice(at + 1).trim()];
    }),
  );
  const accountKey = parts.get("AccountKey");
  const accountName = parts.get("AccountName");
  if (accountKey) {
    return { kind: "AccountKey", accountKey, ...(accountName ? { accountName } : {}) };
  }
  const sasToken = parts.get("SharedAccessSignature");
  if (sasToken) return { kind: "SasToken", sasToken };
  throw new CliError(
    "CredentialsInvalid",
    "AZURE_STORAGE_CONNECTION_STRING holds neither AccountKey nor SharedAccessSignature",
    "Copy it from: az storage account show-connection-string --name <account>.",
  );
}

/** Turns off the SDK's own retries: `requestsTo` retries, and detects stalls. */
const options = { retryOptions: { maxTries: 1 } };

export async function openContainer(
  destination: Destination,
  credential: StorageCredential,
): Promise<ContainerClient> {
  const { store, account, host } = destination;
  if (credential.kind === "AccountKey") {
    const { accountKey, accountName = account } = credential;
    if (accountName !== account) {
      throw new CliError(
        "CredentialsInvalid",
        `The storage key in the environment belongs to the account ${accountName}, but --to names ${account}`,
        "Unset AZURE_STORAGE_KEY and AZURE_STORAGE_CONNECTION_STRING to use az login, or set the key of the right account.",
      );
    }
    return new ContainerClient(store, new StorageSharedKeyCredential(account, accountKey), options);
  }
  if (credential.kind === "SasToken") {
    const query = credential.sasToken.replace(/^\?/, "");
    return new ContainerClient(`${store}?${query}`, undefined, options);
  }
  if (!azureSuffixes.some((suffix) => host.endsWith(suffix))) {
    throw new CliError(
      "CredentialsMissing",
      `${host} is not an Azure Blob host, so no Azure identity is sent to it`,
      "Set AZURE_STORAGE_KEY or AZURE_STORAGE_SAS_TOKEN.",
    );
  }
  // Importing this takes half a second, which a key or a SAS token does not need.
  const { DefaultAzureCredential } = await import("@azure/identity");
  return new ContainerClient(store, new DefaultAzureCredential(), options);
}

/** Distinguishes a missing identity from one that Entra ID refused: each has its own fix. */
export function identityError(error: Error): CliError {
  const found = refusalIn(error);
  if (found === undefined) {
    return new CliError("CredentialsMissing", "No Azure identity was found", ways, error);
  }
  return new CliError(
    "CredentialsInvalid",
    `The Azure identity got no token: ${reasonInOneLine(found)}`,
    "Check AZURE_CLIENT_ID, AZURE_TENANT_ID and AZURE_CLIENT_SECRET when they are set (secrets expire), and the network path to Entra ID; else run az login again.",
    error,
  );
}

/** The credential chain throws one error for each identity that it tried; most of these are just not configured. */
function refusalIn(error: Error): Error | undefined {
  if (error.name === "CredentialUnavailableError") return undefined;
  if (!("errors" in error) || !Array.isArray(error.errors)) return error;
  const tried = error.errors.filter((one): one is Error => one instanceof Error);
  for (const one of tried) {
    const found = refusalIn(one);
    if (found !== undefined) return found;
  }
  return undefined;
}

/**
 * Entra ID's own sentence, without its trace ids; else the first line of the SDK's details, whose title only names its
 * troubleshooting page. Never the whole response: it may repeat the request.
 */
function reasonInOneLine(error: Error): string {
  const entra = /AADSTS\d+:[^\r\n]*/.exec(error.message)?.[0];
  const line =
    entra?.replace(/\s*(Trace ID|Correlation ID|Timestamp):.*$/, "") ??
    /^More details:\s*(?!.*body:$)(\S.*?),?$/m.exec(error.message)?.[1] ??
    reasonOf(error);
  return line.replace(/\b(client_secret|client_assertion|password|sig)=[^&\s]+/gi, "$1=…");
}
