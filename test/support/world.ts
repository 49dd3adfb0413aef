import type { IncomingMessage } from "node:http";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { startAcr } from "./acr.ts";
import { readerSas, startAzurite } from "./azurite.ts";
import { createFaults, type Faults } from "./faults.ts";
import { forward, listenTls } from "./forward.ts";
import { startRegistry } from "./registry.ts";
import { issueCertificate, type Authority } from "./tls.ts";

/** The services that AIApps name: a storage account, an ACR, a plain registry. */
export interface World {
  readonly faults: Faults;
  readonly blobPort: number;
  readonly acrPort: number;
  readonly registryPort: number;
  /** The real services on loopback, without TLS, faults, recording and tokens. */
  readonly behind: { readonly blob: number; readonly acr: number };
  readonly close: () => Promise<void>;
}

/** The login of the tests at the ACR stand-in. */
export const login = { username: "contoso", password: "a password of the tests" } as const;

/** One that may pull, and not push: as the role AcrPull. */
export const readerLogin = {
  username: "reader",
  password: "another password of the tests",
} as const;

export interface WorldOptions {
  readonly authority: Pick<Authority, "certificate" | "key">;
  /** The folder for images; the storage account is in memory. */
  readonly folder: string;
  /** Addresses and ports to listen on; free ports of loopback by default. */
  readonly blob?: { readonly host: string; readonly port: number };
  readonly acr?: { readonly host: string; readonly port: number; readonly name: string };
  readonly registry?: { readonly host: string; readonly port: number };
  readonly isEntraToken?: (token: string) => boolean;
  readonly anonymousPull?: boolean;
}

export async function startWorld(options: WorldOptions): Promise<World> {
  const closers: (() => Promise<void>)[] = [];
  const started = <T extends { readonly close: () => Promise<void> }>(service: T): T => {
    closers.push(service.close);
    return service;
  };
  const close = async (): Promise<void> => {
    for (const one of closers.splice(0).toReversed()) await one();
  };
  try {
    const faults = createFaults();
    const loopback = { host: "127.0.0.1", port: 0 };
    const certificate = await issueCertificate(options.authority, {
      hosts: ["127.0.0.1", "localhost", "*.azurecr.test", "*.blob.azure.test"],
    });
    const authority = join(options.folder, "authority.crt");
    await mkdir(options.folder, { recursive: true });
    await writeFile(authority, options.authority.certificate);
    const [azurite, behindAcr, registry] = await Promise.all([
      startAzurite(authority).then(started),
      startRegistry(join(options.folder, "acr")).then(started),
      startRegistry(join(options.folder, "registry"), options.registry).then(started),
    ]);
    const blob = started(
      await listenTls(options.blob ?? loopback, certificate, (request, response) => {
        if (admit(request, options.isEntraToken))
          forward({ service: "blob", faults, target: azurite.port }, request, response);
        else response.writeHead(401, { "x-ms-error-code": "InvalidAuthenticationInfo" }).end();
      }),
    );
    const acr = started(
      await startAcr({
        listening: options.acr ?? loopback,
        name: (port) => options.acr?.name ?? `127.0.0.1:${port}`,
        certificate,
        faults,
        upstream: behindAcr.port,
        logins: {
          [login.username]: login.password,
          [readerLogin.username]: readerLogin.password,
        },
        readers: [readerLogin.username],
        ...(options.isEntraToken && { isEntraToken: options.isEntraToken }),
        ...(options.anonymousPull !== undefined && { anonymousPull: options.anonymousPull }),
      }),
    );
    return {
      faults,
      blobPort: blob.port,
      acrPort: acr.port,
      registryPort: registry.port,
      behind: { blob: azurite.port, acr: behindAcr.port },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Replaces a valid Entra ID token by a SAS token for Azurite, which checks all other credentials. @returns whether to forward */
function admit(request: IncomingMessage, isEntraToken: WorldOptions["isEntraToken"]): boolean {
  const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? "")?.[1];
  if (token === undefined) return true;
  if (isEntraToken?.(token) !== true) return false;
  delete request.headers.authorization;
  const { url = "/" } = request;
  request.url = `${url}${url.includes("?") ? "&" : "?"}${readerSas()}`;
  return true;
}
