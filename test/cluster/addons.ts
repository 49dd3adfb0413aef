import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { execa } from "execa";

import type { Binaries } from "./binaries.ts";
import { hosts, LOAD_BALANCER_POOL, type Layout } from "./layout.ts";
import { eventually } from "./process.ts";
import type { Sandbox } from "./sandbox.ts";

/** DNS and the load balancer: both run as processes outside the nodes. */

function corefile(layout: Layout): string {
  const names = Object.entries(hosts).map(([name, address]) => `    ${address} ${name}`);
  return `.:53 {
  errors
  hosts {
${names.join("\n")}
    fallthrough
  }
  kubernetes cluster.local {
    kubeconfig ${layout.kubeconfig}
    pods disabled
  }
}
`;
}

async function kubectl(
  layout: Layout,
  sandbox: Sandbox,
  binaries: Binaries,
  args: readonly string[],
  input?: string,
): Promise<string> {
  const [command, ...rest] = sandbox.enter([
    binaries.kubectl,
    "--kubeconfig",
    layout.kubeconfig,
    ...args,
  ]);
  const { stdout } = await execa(
    command,
    rest,
    input === undefined ? { stdin: "ignore" } : { input },
  );
  return stdout;
}

export async function startDns(
  layout: Layout,
  sandbox: Sandbox,
  binaries: Binaries,
): Promise<void> {
  const file = join(layout.folder, "Corefile");
  await writeFile(file, corefile(layout));
  await sandbox.spawn("coredns", [binaries.coredns, "-conf", file]);
  const [command, ...args] = sandbox.enter([
    "getent",
    "hosts",
    "kubernetes.default.svc.cluster.local",
    ...Object.keys(hosts),
  ]);
  await eventually("names to resolve inside the cluster", 30_000, async () => {
    await execa(command, args);
    return true;
  });
}

export async function startLoadBalancer(
  layout: Layout,
  sandbox: Sandbox,
  binaries: Binaries,
): Promise<void> {
  const files = (await readdir(binaries.metallbCrds)).filter(
    (name) => name.endsWith(".yaml") && !name.startsWith("kustom"),
  );
  const definitions = await Promise.all(
    files.map((name) => readFile(join(binaries.metallbCrds, name), "utf8")),
  );
  await kubectl(
    layout,
    sandbox,
    binaries,
    ["apply", "--server-side", "-f", "-"],
    definitions.join("\n---\n"),
  );
  const pool = [
    { apiVersion: "v1", kind: "Namespace", metadata: { name: "metallb-system" } },
    {
      apiVersion: "metallb.io/v1beta1",
      kind: "IPAddressPool",
      metadata: { name: "bridge", namespace: "metallb-system" },
      spec: { addresses: [LOAD_BALANCER_POOL] },
    },
  ].map((object) => JSON.stringify(object));
  await eventually("the load balancer's resources to be known", 30_000, async () => {
    await kubectl(
      layout,
      sandbox,
      binaries,
      ["apply", "--server-side", "-f", "-"],
      pool.join("\n---\n"),
    );
    return true;
  });
  await sandbox.spawn(
    "metallb-controller",
    [
      binaries.controller,
      "--kubeconfig",
      layout.kubeconfig,
      "--webhook-mode=disabled",
      "--disable-cert-rotation",
      "--ml-secret-name=",
      "--port=7472",
    ],
    { METALLB_NAMESPACE: "metallb-system" },
  );
}
