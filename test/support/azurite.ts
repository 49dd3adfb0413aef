import { fileURLToPath } from "node:url";

import { freePort, startService, type ServiceProcess } from "./process.ts";

/** The storage account of the tests. The key opens nothing but this emulator. */
export const storageAccount = {
  name: "contoso",
  key: Buffer.from("a key that opens nothing but the emulator of the tests").toString("base64"),
} as const;

/** A real Azurite in memory, Blob only, on loopback. It knows accounts by the first label of the Host header. */
export async function startAzurite(): Promise<ServiceProcess> {
  const port = await freePort();
  const host = "127.0.0.1";
  return startService(
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
    { AZURITE_ACCOUNTS: `${storageAccount.name}:${storageAccount.key}` },
  );
}
