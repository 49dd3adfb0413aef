import { access, constants, readFile } from "node:fs/promises";
import { join } from "node:path";

import { execa } from "execa";

/** A requirement of the cluster that this machine does not meet. */
export interface Lack {
  readonly what: string;
  readonly fix: string;
}

export async function onPath(command: string): Promise<boolean> {
  for (const folder of (process.env["PATH"] ?? "").split(":")) {
    try {
      await access(join(folder, command), constants.X_OK);
      return true;
    } catch {
      // Look in the next folder.
    }
  }
  return false;
}

async function goVersion(): Promise<string | undefined> {
  const { stdout, exitCode } = await execa("go", ["env", "GOVERSION"], { reject: false });
  return exitCode === 0 ? stdout.replace(/^go/, "") : undefined;
}

function atLeast(version: string, wanted: string): boolean {
  const [a, b] = [version, wanted].map((text) =>
    text.split(".").map((part) => Number.parseInt(part, 10)),
  );
  for (const index of [0, 1, 2]) {
    const difference = (a?.[index] ?? 0) - (b?.[index] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return true;
}

async function wantedGo(): Promise<string> {
  const module = await readFile(join(import.meta.dirname, "go", "go.mod"), "utf8");
  return /^go (\S+)$/m.exec(module)?.[1] ?? "1.24";
}

/** All requirements that this machine does not meet. Empty if a cluster can run here. */
export async function preflight(): Promise<readonly Lack[]> {
  const lacks: Lack[] = [];
  if (process.platform !== "linux" || process.arch !== "x64") {
    lacks.push({
      what: `Linux on x64 (this is ${process.platform} on ${process.arch})`,
      fix: "use an existing cluster",
    });
    return lacks;
  }
  if (process.getuid?.() !== 0) {
    lacks.push({
      what: "root",
      fix: "run it as root (sudo -E), or use an existing cluster",
    });
  }
  const [go, wanted] = [await goVersion(), await wantedGo()];
  if (go === undefined) {
    lacks.push({ what: `Go ${wanted} or later`, fix: "install Go and put it on the PATH" });
  } else if (!atLeast(go, wanted)) {
    lacks.push({ what: `Go ${wanted} or later (${go} is here)`, fix: "install a newer Go" });
  }
  if (!(await onPath("apt-get"))) {
    lacks.push({ what: "apt-get (Debian's packages)", fix: "run it on Debian or Ubuntu" });
  }
  const filesystems = await readFile("/proc/filesystems", "utf8");
  if (!/\boverlay$/m.test(filesystems)) {
    lacks.push({ what: "the kernel's overlay file system", fix: "modprobe overlay" });
  }
  if (process.getuid?.() === 0) {
    const probe = await execa("unshare", ["--net", "--mount", "--pid", "--fork", "true"], {
      reject: false,
    });
    if (probe.exitCode !== 0) {
      lacks.push({
        what: `permission to create namespaces (${probe.stderr.trim().split("\n")[0] ?? "refused"})`,
        fix: "run it on a machine or in a privileged container",
      });
    }
  }
  return lacks;
}

/** A message with each missing requirement and its fix. */
export function explain(lacks: readonly Lack[]): string {
  return [
    "This machine cannot run the cluster. It lacks:",
    ...lacks.map(({ what, fix }) => `  - ${what}: ${fix}`),
    "Or use an existing cluster (kind, AKS): set KUBECONFIG, AIAPP_CLUSTER=current and AIAPP_REGISTRY.",
  ].join("\n");
}
