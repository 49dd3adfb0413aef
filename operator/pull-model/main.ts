import { writeFile } from "node:fs/promises";

import { z } from "zod";

import { systemClock } from "../clock.ts";
import { messageOf, OperatorError, reasonOf } from "../errors.ts";
import { boundedCredential } from "../sources/bounded-credential.ts";
import { createAgents } from "../sources/hosts.ts";
import { storageIdentity, type Identity } from "../sources/identity.ts";
import { createContainers } from "../sources/model/blob-container.ts";
import { createBlobStore } from "../sources/model/blob-store.ts";
import type { TokenCredentials } from "../sources/workload-identity.ts";
import { explain } from "./disk.ts";
import { pull } from "./pull.ts";

/**
 * The init container of every scoring pod: `node operator/pull-model/main.ts` pulls the model into MODEL_DIR. An error
 * is the container's termination message, `<Reason>: what, where, what to do`, from which the operator makes a condition.
 */
const list = z
  .string()
  .default("")
  .transform((text) => text.split(",").filter(Boolean));

const Environment = z.object({
  MODEL_STORE: z.url(),
  MODEL_NAME: z.string().min(1),
  MODEL_VERSION: z.string().min(1),
  MODEL_DIGEST: z.string().regex(/^sha256:[0-9a-f]{64}$/),
  MODEL_DIR: z.string().min(1),
  STORAGE_IDENTITY: z.enum(["Secret", "Workload", "Anonymous"]),
  STORAGE_ACCOUNT_NAME: z.string().optional(),
  STORAGE_ACCOUNT_KEY: z.string().optional(),
  STORAGE_SAS_TOKEN: z.string().optional(),
  STORAGE_ENDPOINT: z.string().optional(),
  AZURE_STORAGE_SUFFIXES: list,
  INSECURE_HOSTS: list,
  ALLOW_LOOPBACK: z.stringbool().default(false),
  CA_BUNDLE: z.string().optional(),
  STALL_SECONDS: z.coerce.number().min(1).max(600).default(30),
  TERMINATION_LOG: z.string().default("/dev/termination-log"),
});
type Environment = z.infer<typeof Environment>;

function identityOf(environment: Environment): Identity {
  switch (environment.STORAGE_IDENTITY) {
    case "Anonymous":
      return { kind: "anonymous" };
    case "Workload":
      // The SDK reads the identity from files that AKS mounts; these names are only the key of a cache.
      return {
        kind: "workload",
        namespace: "",
        serviceAccount: "",
        clientId: "pod",
        tenantId: "pod",
      };
    case "Secret":
      return storageIdentity({
        namespace: "this namespace's",
        name: "storage Secret",
        data: Object.fromEntries(
          Object.entries({
            accountName: environment.STORAGE_ACCOUNT_NAME,
            accountKey: environment.STORAGE_ACCOUNT_KEY,
            sasToken: environment.STORAGE_SAS_TOKEN,
            endpoint: environment.STORAGE_ENDPOINT,
          }).flatMap(([key, value]) => (value === undefined ? [] : [[key, value]])),
        ),
      });
  }
}

/** The SDK of identities is as large as that of the store: it is loaded only where the store is opened by one. */
async function credentialsOf({ kind }: Identity): Promise<TokenCredentials> {
  if (kind !== "workload") {
    return {
      of: () => {
        throw new Error(`the store is opened by ${kind}, not by a workload's identity`);
      },
    };
  }
  const { WorkloadIdentityCredential } = await import("@azure/identity");
  return { of: () => boundedCredential(new WorkloadIdentityCredential()) };
}

async function run(environment: Environment, signal: AbortSignal): Promise<void> {
  const identity = identityOf(environment);
  const policy = {
    insecureHosts: new Set(environment.INSECURE_HOSTS),
    allowLoopback: environment.ALLOW_LOOPBACK,
    caBundle: environment.CA_BUNDLE,
  };
  const open = createContainers({
    azureSuffixes: environment.AZURE_STORAGE_SUFFIXES,
    policy,
    agents: createAgents(policy),
    credentials: await credentialsOf(identity),
  });
  await pull(
    {
      store: environment.MODEL_STORE,
      name: environment.MODEL_NAME,
      version: environment.MODEL_VERSION,
      digest: environment.MODEL_DIGEST,
      folder: environment.MODEL_DIR,
      identity,
    },
    {
      models: createBlobStore(open),
      container: open(environment.MODEL_STORE, identity),
      clock: systemClock,
      stallMs: environment.STALL_SECONDS * 1000,
      say: (line) => console.log(line),
    },
    signal,
  );
}

/** The condition's reason; a full disk or a missing variable has none of its own. */
function reasonFor(error: unknown): string {
  const reason = error instanceof OperatorError ? reasonOf(error.code) : undefined;
  return reason ?? "ModelPullFailed";
}

/** For the container's log, which the pod's own tenant reads: without the query of a URL, which may be a SAS token. */
function causeOf(cause: unknown): string {
  return `cause: ${messageOf(cause)}`.replace(/\?\S*/g, "").slice(0, 1000);
}

const stop = new AbortController();
// The timers of back-off and stalls do not keep a process alive, and while it waits for a retry it has no socket.
const alive = setInterval(() => {}, 60_000);
process.once("SIGTERM", () => stop.abort(new Error("the pod is being deleted")));
try {
  const parsed = Environment.safeParse(process.env);
  if (!parsed.success) throw new Error(z.prettifyError(parsed.error));
  await run(parsed.data, stop.signal);
  // Kept-alive sockets would keep the process running.
  process.exit(0);
} catch (error) {
  clearInterval(alive);
  const message = `${reasonFor(error)}: ${explain(error)}`.slice(0, 4000);
  console.error(message);
  console.error(causeOf(error instanceof Error ? (error.cause ?? error) : error));
  await writeFile(process.env["TERMINATION_LOG"] ?? "/dev/termination-log", message).catch(
    () => {},
  );
  process.exit(1);
}
