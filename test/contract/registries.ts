import { join } from "node:path";

import type { ImageRegistry } from "../../operator/sources/registry/image-registry.ts";
import { createRegistry } from "../../operator/sources/registry/registry.ts";
import { startRegistry } from "../support/registry.ts";
import { login } from "../support/world.ts";
import type { Repository } from "./push.ts";
import { startServices, type Services } from "./services.ts";

/** Real registries to ask: a plain one, one with logins, and an ACR. */

export const basic = { kind: "basic", ...login } as const;
export const anonymous = { kind: "anonymous" } as const;
/** The login's password, as bcrypt. */
const HTPASSWD = `${login.username}:$2y$04$abcdefghijklmnopqrstuuzzjWYX9ziq/z9PGEfqaY.69BPe06tMC\n`;

export type RegistryName = "a plain registry" | "a registry with logins" | "ACR";

export interface Place {
  readonly to: Repository;
  /** `host/repository`, to which a tag or digest is appended. */
  readonly image: string;
}

export interface Registries {
  readonly services: Services;
  /** A repository that no other test uses. */
  readonly newPlace: (registry: RegistryName) => Place;
  /** The operator's registries as after a start: nothing known, no token held. */
  readonly fresh: () => ImageRegistry;
  readonly close: () => Promise<void>;
}

export async function startRegistries(): Promise<Registries> {
  const services = await startServices();
  const { world, policy, agents, credentials } = services;
  const withLogins = await startRegistry(join(services.folder, "logins"), { htpasswd: HTPASSWD });
  policy.insecureHosts.add(`127.0.0.1:${withLogins.port}`);
  /** As an image reference names them, and the way past their doors. */
  const registries = {
    "a plain registry": {
      host: `127.0.0.1:${world.registryPort}`,
      behind: { port: world.registryPort },
    },
    "a registry with logins": {
      host: `127.0.0.1:${withLogins.port}`,
      behind: {
        port: withLogins.port,
        authorization: `Basic ${btoa(`${login.username}:${login.password}`)}`,
      },
    },
    ACR: { host: `127.0.0.1:${world.acrPort}`, behind: { port: world.behind.acr } },
  } as const satisfies Record<RegistryName, unknown>;
  let repositories = 0;
  return {
    services,
    newPlace: (registry) => {
      const { host, behind } = registries[registry];
      repositories += 1;
      const repository = `contoso/cats-${repositories}`;
      return { to: { ...behind, repository }, image: `${host}/${repository}` };
    },
    fresh: () =>
      createRegistry({
        azureSuffixes: [`127.0.0.1:${world.acrPort}`],
        policy,
        agents,
        credentials,
      }),
    close: async () => {
      await withLogins.close();
      await services.close();
    },
  };
}

/** As long as a poll may take. */
export function bounded(): AbortSignal {
  return AbortSignal.timeout(20_000);
}
