import { access, constants, readFile } from "node:fs/promises";
import { join } from "node:path";

import { execa } from "execa";

/** Something that a cluster needs and this machine has not. */
export interface Lack {
  readonly what: string;
  readonly wayOut: string;
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

/** All that this machine lacks, at once. Empty: a cluster can run here. */
export async function preflight(): Promise<readonly Lack[]> {
  const lacks: Lack[] = [];
  if (process.platform !== "linux" || process.arch !== "x64") {
    lacks.push({
      what: `Linux on x64 (this is ${process.platform} on ${process.arch})`,
      wayOut: "use a cluster that you have",
    });
    return lacks;
  }
  if (process.getuid?.() !== 0) {
    lacks.push({
      what: "root",
      wayOut: "run it as root (sudo -E), or use a cluster that you have",
    });
  }
  const [go, wanted] = [await goVersion(), await wantedGo()];
  if (go === undefined) {
    lacks.push({ what: `Go ${wanted} or later`, wayOut: "install Go and put it on the PATH" });
  } else if (!atLeast(go, wanted)) {
    lacks.push({ what: `Go ${wanted} or later (${go} is here)`, wayOut: "install a newer Go" });
  }
  if (!(await onPath("apt-get"))) {
    lacks.push({ what: "apt-get (Debian's packages)", wayOut: "run it on Debian or Ubuntu" });
  }
  const filesystems = await readFile("/proc/filesystems", "utf8");
  if (!/\boverlay$/m.test(filesystems)) {
    lacks.push({ what: "the kernel's overlay file system", wayOut: "modprobe overlay" });
  }
  if (process.getuid?.() === 0) {
    const probe = await execa("unshare", ["--net", "--mount", "--pid", "--fork", "true"], {
      reject: false,
    });
    if (probe.exitCode !== 0) {
      lacks.push({
        what: `the right to make namespaces (${probe.stderr.trim().split("\n")[0] ?? "refused"})`,
        wayOut: "run it on a machine or in a container that is privileged",
      });
    }
  }
  return lacks;
}

/** For people: what is missing, and the way out. */
export function explain(lacks: readonly Lack[]): string {
  return [
    "This machine cannot run the cluster. It lacks:",
    ...lacks.map(({ what, wayOut }) => `  - ${what}: ${wayOut}`),
    "Or use a cluster that you have (kind, AKS): set KUBECONFIG, AIAPP_CLUSTER=current and AIAPP_REGISTRY.",
  ].join("\n");
}
