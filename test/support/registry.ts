import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { freePort, startService, type ServiceProcess } from "./process.ts";

export interface RegistryOptions {
  readonly host?: string;
  readonly port?: number;
  /** Logins with bcrypt hashes, one of which each request then requires. */
  readonly htpasswd?: string;
}

/** A real registry (Debian's docker-registry), its images in `folder`, on a free port of loopback by default. */
export async function startRegistry(
  folder: string,
  { host = "127.0.0.1", port, htpasswd }: RegistryOptions = {},
): Promise<ServiceProcess> {
  const bound = port ?? (await freePort(host));
  const config = join(folder, "config.yml");
  await mkdir(folder, { recursive: true });
  if (htpasswd !== undefined) await writeFile(join(folder, "htpasswd"), htpasswd);
  await writeFile(
    config,
    JSON.stringify({
      version: 0.1,
      log: { level: "warn", accesslog: { disabled: true } },
      storage: {
        filesystem: { rootdirectory: join(folder, "data") },
        delete: { enabled: true },
        maintenance: { uploadpurging: { enabled: false } },
      },
      ...(htpasswd !== undefined && {
        auth: { htpasswd: { realm: "tests", path: join(folder, "htpasswd") } },
      }),
      http: { addr: `${host}:${bound}`, secret: "of the tests" },
    }),
  );
  return startService(["docker-registry", "serve", config], { host, port: bound });
}
