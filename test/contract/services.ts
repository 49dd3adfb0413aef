import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { getCACertificates, setDefaultCACertificates } from "node:tls";

import { expect, vi } from "vitest";

import { OperatorError } from "../../operator/errors.ts";
import { createAgents, type Agents, type HostPolicy } from "../../operator/sources/hosts.ts";
import {
  createTokenCredentials,
  type TokenCredentials,
} from "../../operator/sources/workload-identity.ts";
import { startEntra, type Entra } from "../support/entra.ts";
import { createAuthority, issueCertificate } from "../support/tls.ts";
import { startWorld, type World } from "../support/world.ts";

/** The services that sources read, on loopback, and what the operator's own code needs to reach them. */
export interface Services {
  readonly world: World;
  readonly entra: Entra;
  /** Gone with the services. */
  readonly folder: string;
  readonly policy: HostPolicy & {
    readonly insecureHosts: Set<string>;
    readonly caBundle: string;
  };
  readonly agents: Agents;
  readonly credentials: TokenCredentials;
  readonly close: () => Promise<void>;
}

/** A ServiceAccount with a federated credential. */
export const reader = {
  kind: "workload",
  namespace: "cats",
  serviceAccount: "reader",
  clientId: "11111111-1111-4111-8111-111111111111",
  tenantId: "22222222-2222-4222-8222-222222222222",
} as const;

/** One that Entra ID does not know. */
export const stranger = { ...reader, serviceAccount: "stranger" } as const;

export async function startServices(): Promise<Services> {
  const folder = await mkdtemp(join(tmpdir(), "contract-"));
  const authority = await createAuthority(join(folder, "authority"));
  const loopback = { host: "127.0.0.1", port: 0 };
  const world = await startWorld({
    authority,
    folder,
    isEntraToken: (token) => entra.isToken(token),
    anonymousPull: true,
  });
  const entra = await startEntra({
    listening: loopback,
    certificate: await issueCertificate(authority, { hosts: [loopback.host] }),
    trusts: (subject) => subject === `system:serviceaccount:${reader.namespace}:reader`,
    faults: world.faults,
  });
  const policy = {
    insecureHosts: new Set([`127.0.0.1:${world.registryPort}`]),
    allowLoopback: true,
    caBundle: authority.certificate,
  };
  const agents = createAgents(policy);
  // Only now: so far the agents trust the authority by the bundle alone. Entra's client knows the default ones only.
  setDefaultCACertificates([...getCACertificates("default"), authority.certificate]);
  const credentials = createTokenCredentials({
    // As the API server would sign it; the stand-in reads the subject.
    createToken: async (namespace, serviceAccount, audience) => {
      const claims = { sub: `system:serviceaccount:${namespace}:${serviceAccount}`, aud: audience };
      return `e30.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.signature`;
    },
    authorityHost: `https://127.0.0.1:${entra.port}`,
  });
  return {
    world,
    entra,
    folder,
    policy,
    agents,
    credentials,
    close: async () => {
      agents.http.destroy();
      agents.https.destroy();
      await world.close();
      await entra.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** The OperatorError that an attempt ends with; anything else is thrown. */
export async function errorOf(attempt: Promise<unknown>): Promise<OperatorError> {
  const error: unknown = await attempt.then(
    (value) => new Error(`nothing went wrong: ${String(value)}`),
    (caught: unknown) => caught,
  );
  if (!(error instanceof OperatorError)) throw error;
  return error;
}

/** The OperatorError that an attempt ends with when its time is over, which is as soon as a fault has hit it. */
export async function timedOut(
  { faults }: World,
  attempt: (signal: AbortSignal) => Promise<unknown>,
): Promise<OperatorError> {
  const before = faults.hits();
  const late = new AbortController();
  const ended = errorOf(attempt(late.signal));
  await vi.waitFor(() => expect(faults.hits()).toBeGreaterThan(before), { timeout: 20_000 });
  late.abort(new DOMException("as AbortSignal.timeout does it", "TimeoutError"));
  return ended;
}
