import { fileURLToPath } from "node:url";

import {
  AccountSASPermissions,
  AccountSASResourceTypes,
  AccountSASServices,
  BlobServiceClient,
  generateAccountSASQueryParameters,
  StorageSharedKeyCredential,
} from "@azure/storage-blob";

import { freePort, startService, type ServiceProcess } from "./process.ts";

/** The storage account of the tests. The key works at this emulator only. */
export const storageAccount = {
  name: "contoso",
  key: Buffer.from("a key that opens nothing but the emulator of the tests").toString("base64"),
} as const;

/** The account behind `port` on loopback, with full rights. */
export function accountClient(port: number): BlobServiceClient {
  const { name, key } = storageAccount;
  return new BlobServiceClient(
    `http://127.0.0.1:${port}/${name}`,
    new StorageSharedKeyCredential(name, key),
  );
}

/** The permissions of the role Storage Blob Data Reader, as a SAS token: Azurite accepts no Entra ID tokens over http. */
export function readerSas(): string {
  const { name, key } = storageAccount;
  return generateAccountSASQueryParameters(
    {
      expiresOn: new Date(Date.now() + 3600_000),
      permissions: AccountSASPermissions.parse("rl"),
      services: AccountSASServices.parse("b").toString(),
      resourceTypes: AccountSASResourceTypes.parse("co").toString(),
    },
    new StorageSharedKeyCredential(name, key),
  ).toString();
}

/**
 * A real Azurite in memory, Blob only, on loopback, with an empty container `models`. It knows accounts by the first label
 * of the Host header. A copy whose source has a SAS token it reads through its own front.
 *
 * @param authority file with the certificate authority of that front
 */
export async function startAzurite(authority?: string): Promise<ServiceProcess> {
  const port = await freePort();
  const host = "127.0.0.1";
  const service = await startService(
    [
      process.execPath,
      fileURLToPath(import.meta.resolve("azurite/dist/src/blob/main.js")),
      "--blobHost",
      host,
      "--blobPort",
      String(port),
      "--inMemoryPersistence",
      "--skipApiVersionCheck",
      "--disableTelemetry",
      "--silent",
    ],
    { host, port },
    {
      AZURITE_ACCOUNTS: `${storageAccount.name}:${storageAccount.key}`,
      ...(authority !== undefined && { NODE_EXTRA_CA_CERTS: authority }),
    },
  );
  try {
    await accountClient(port).createContainer("models");
  } catch (error) {
    await service.close();
    throw error;
  }
  return service;
}
