import { createServer } from "node:http";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { parseArgs } from "node:util";

import { hosts } from "../cluster/layout.ts";
import { Fault } from "./faults.ts";
import { CONTROL_URL } from "./platform.ts";
import { startWorld } from "./world.ts";

/**
 * Runs in the cluster's network: the storage account, the ACR and the registry under the names that operator, kubelet and
 * tests share, and a control address for faults and counts.
 * `node test/support/main.ts --authority FOLDER --folder FOLDER --ready FILE`, which it writes once all services respond.
 */

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      authority: { type: "string", default: "" },
      folder: { type: "string", default: "" },
      ready: { type: "string", default: "" },
    },
  });
  const { authority, folder } = values;
  const [certificate, key] = await Promise.all([
    readFile(join(authority, "ca.crt"), "utf8"),
    readFile(join(authority, "ca.key"), "utf8"),
  ]);
  const { faults, close } = await startWorld({
    authority: { certificate, key },
    folder,
    acr: { host: hosts["contoso.azurecr.test"], port: 443, name: "contoso.azurecr.test" },
    blob: { host: hosts["contoso.blob.azure.test"], port: 443 },
    registry: { host: hosts["registry.aiapp.test"], port: 5000 },
  });

  const control = createServer((request, response) => {
    const route = `${request.method} ${request.url}`;
    void text(request).then((body) => {
      if (route === "POST /faults") faults.add(Fault.parse(JSON.parse(body)));
      else if (route === "DELETE /faults") faults.clear();
      else if (route === "DELETE /requests") faults.forget();
      response.writeHead(200, { "content-type": "application/json" });
      response.end(route === "GET /requests" ? JSON.stringify(faults.requests()) : "{}");
    });
  });
  await new Promise<void>((resolve) => {
    control.listen(Number(new URL(CONTROL_URL).port), hosts["registry.aiapp.test"], resolve);
  });
  await writeFile(values.ready, "");

  process.once("SIGTERM", () => {
    control.closeAllConnections();
    control.close();
    void close().then(() => process.exit(0));
  });
}

await main();
