import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { parseArgs } from "node:util";

import { Fault } from "./faults.ts";
import { startWorld } from "./world.ts";

/**
 * Runs inside the cluster's network: the storage account, the ACR and the registry under the names that operator,
 * kubelet and tests share, and a control address for faults and counts.
 * `node test/support/main.ts --authority FOLDER --folder FOLDER`
 */
export const CONTROL = { host: "10.244.0.13", port: 8099 } as const;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { authority: { type: "string" }, folder: { type: "string" } },
  });
  const { authority = "", folder = "" } = values;
  const [certificate, key] = await Promise.all([
    readFile(join(authority, "ca.crt"), "utf8"),
    readFile(join(authority, "ca.key"), "utf8"),
  ]);
  const { faults, close } = await startWorld({
    authority: { certificate, key },
    folder,
    acr: { host: "10.244.0.11", port: 443, name: "contoso.azurecr.test" },
    blob: { host: "10.244.0.12", port: 443 },
    registry: { host: "10.244.0.13", port: 5000 },
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
  control.listen(CONTROL.port, CONTROL.host);

  process.once("SIGTERM", () => {
    control.closeAllConnections();
    control.close();
    void close().then(() => process.exit(0));
  });
}

await main();
