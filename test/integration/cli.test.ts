import { join } from "node:path";

import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { startApiServer, type ApiServer } from "../support/apiserver.ts";
import { installCrds } from "../support/crds.ts";

/** The commands that control releases, on a real API server. No operator runs: the test writes the status. */

const root = join(import.meta.dirname, "..", "..");
let server: ApiServer;
/** Of a user who may read and annotate AIApps, and nothing else. */
let limited: string;

const hex = "0123456789abcdef".repeat(4);

function release(id: string, version: string, phase: string): Record<string, string> {
  return {
    id,
    image: "contoso.azurecr.io/digits:1",
    imageTag: "1",
    imageDigest: `sha256:${hex}`,
    modelVersion: version,
    modelDigest: `sha256:${hex}`,
    since: "2026-03-01T09:00:00Z",
    phase,
  };
}

const current = release("2222222222", "2", "Released");
const previous = release("1111111111", "1", "Released");
const candidate = release("3333333333", "3", "AwaitingApproval");

async function create(object: unknown): Promise<void> {
  await server.kubectl(["create", "--filename", "-"], JSON.stringify(object));
}

async function setStatus(status: Record<string, unknown>): Promise<void> {
  const patch = JSON.stringify({ status });
  const target = ["patch", "aiapp", "digits", "--subresource", "status", "--type", "merge"];
  await server.kubectl([...target, "--patch", patch]);
}

interface Metadata {
  readonly generation: number;
  readonly annotations?: Record<string, string>;
  readonly managedFields: readonly { readonly manager: string; readonly fieldsV1: unknown }[];
}

async function metadata(): Promise<Metadata> {
  const flags = ["--show-managed-fields", "--output", "json"];
  const text = await server.kubectl(["get", "aiapp", "digits", ...flags]);
  return (JSON.parse(text) as { metadata: Metadata }).metadata;
}

async function aiapp(args: readonly string[], kubeconfig = server.kubeconfig) {
  const bin = join(root, "cli", "bin.js");
  const all = [bin, ...args, "--namespace", "default", "--kubeconfig", kubeconfig];
  return execa(process.execPath, all, { reject: false });
}

beforeAll(async () => {
  server = await startApiServer({ users: ["limited"] });
  limited = await server.kubeconfigFor({ user: "limited" });
  await installCrds(server);
  const rights = ["--verb=get,patch", "--resource=aiapps.aiapp.dev"];
  await server.kubectl(["create", "clusterrole", "annotate", ...rights]);
  const binding = ["--clusterrole=annotate", "--user=limited"];
  await server.kubectl(["create", "clusterrolebinding", "annotate", ...binding]);
  await create({
    apiVersion: "aiapp.dev/v1alpha1",
    kind: "AIApp",
    metadata: { name: "digits", namespace: "default" },
    spec: {
      image: "contoso.azurecr.io/digits:1",
      modelVersion: "latest",
      model: { store: "https://contoso.blob.core.windows.net/models", name: "digits" },
      release: { approval: "Manual" },
    },
  });
  await setStatus({
    observedGeneration: 1,
    current,
    previous,
    candidate,
    history: [candidate, current, previous],
  });
  const journal = [
    { phase: "Verifying", at: "2026-03-01T08:59:00.000Z" },
    { phase: "AwaitingApproval", at: "2026-03-01T08:59:30.000Z", reason: "Verified" },
  ];
  await create({
    apiVersion: "apps/v1",
    kind: "ControllerRevision",
    metadata: {
      name: "digits-3333333333-abcde",
      namespace: "default",
      labels: { "aiapp.dev/app": "digits", "aiapp.dev/release": "3333333333" },
      annotations: { "aiapp.dev/journal": JSON.stringify(journal) },
    },
    revision: 3,
    data: {},
  });
});
afterAll(() => server.close());

describe("a request by aiapp", () => {
  it("sets one annotation as the field manager aiapp-cli, and leaves the spec alone", async () => {
    const before = await metadata();
    const { exitCode, stdout } = await aiapp(["rollback", "digits"]);
    expect({ exitCode, stdout }).toMatchObject({ exitCode: 0 });
    const after = await metadata();
    expect(after.annotations).toEqual({ "aiapp.dev/hold": "1111111111" });
    expect(after.generation).toBe(before.generation);
    const mine = after.managedFields.find(({ manager }) => manager === "aiapp-cli");
    expect(mine?.fieldsV1).toEqual({
      "f:metadata": { "f:annotations": { ".": {}, "f:aiapp.dev/hold": {} } },
    });
  });

  it("prints the kubectl command that does the same", async () => {
    for (const verb of [["resume"], ["approve"], ["hold"], ["abort"], ["release", "--now"]]) {
      const [name = "", ...flags] = verb;
      const { stdout } = await aiapp([name, "digits", ...flags]);
      const { annotations } = await metadata();
      const command = /kubectl: kubectl (.*)$/m.exec(stdout)?.[1] ?? "";
      await server.kubectl(command.split(" "));
      expect((await metadata()).annotations).toEqual(annotations);
    }
    expect((await metadata()).annotations).toEqual({
      "aiapp.dev/abort": "3333333333",
      "aiapp.dev/approve": "3333333333",
      "aiapp.dev/hold": "2222222222",
      "aiapp.dev/release-now": "3333333333",
    });
  });

  it("needs get and patch on AIApps alone", async () => {
    expect(await aiapp(["resume", "digits"], limited)).toMatchObject({ exitCode: 0 });
    expect((await metadata()).annotations).not.toHaveProperty(["aiapp.dev/hold"]);
  });

  it("waits with --wait until status has the answer", async () => {
    await server.kubectl(["annotate", "aiapp", "digits", "aiapp.dev/approve-"]);
    const waiting = aiapp(["approve", "digits", "--wait", "--timeout", "60s"]);
    // The operator would see the annotation first as well.
    await expect
      .poll(async () => (await metadata()).annotations, { timeout: 60_000 })
      .toHaveProperty(["aiapp.dev/approve"]);
    await setStatus({ candidate: { ...candidate, phase: "RollingOut" }, history: [] });
    expect(await waiting).toMatchObject({
      exitCode: 0,
      stdout: expect.stringContaining("is RollingOut"),
    });
    await setStatus({ candidate, history: [candidate, current, previous] });
  });
});

describe("aiapp history", () => {
  it("shows the journal from the metadata of the records", async () => {
    const { exitCode, stdout } = await aiapp(["history", "digits"]);
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^\+ {2}3333333333 {2}AwaitingApproval/m);
    expect(stdout).toMatch(/Verifying +30s$/m);
  });

  it("shows status alone to a user who may not list the records", async () => {
    const { exitCode, stdout } = await aiapp(["history", "digits"], limited);
    expect(exitCode).toBe(0);
    expect(stdout).toContain("3333333333");
    expect(stdout).toContain("you may not list controllerrevisions.apps");
  });
});
