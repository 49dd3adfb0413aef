import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm, stat, symlink } from "node:fs/promises";
import { join } from "node:path";

import { execa } from "execa";

import { cacheFolder } from "./layout.ts";

/** The Go programs of the cluster, all from one module, so that Go compiles each package once. */
export interface Binaries {
  readonly folder: string;
  /** etcd, kube-apiserver, kube-controller-manager, kube-scheduler, kubelet, kube-proxy, kubectl in one. */
  readonly kube: string;
  readonly kubectl: string;
  readonly helm: string;
  readonly coredns: string;
  /** MetalLB's controller. */
  readonly controller: string;
  readonly pause: string;
  /** MetalLB's CustomResourceDefinitions, from its module. */
  readonly metallbCrds: string;
}

const source = join(import.meta.dirname, "go");
const programs = [
  "./kube",
  "./coredns",
  "./pause",
  "helm.sh/helm/v3/cmd/helm",
  "go.universe.tf/metallb/controller",
];

async function sourceFiles(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  const files = await Promise.all(
    entries
      .toSorted((a, b) => a.name.localeCompare(b.name))
      .map((entry) =>
        entry.isDirectory()
          ? sourceFiles(join(folder, entry.name))
          : Promise.resolve([join(folder, entry.name)]),
      ),
  );
  return files.flat();
}

async function digestOfSource(): Promise<string> {
  const hash = createHash("sha256");
  for (const file of await sourceFiles(source)) {
    hash
      .update(file.slice(source.length))
      .update("\0")
      .update(await readFile(file))
      .update("\0");
  }
  return hash.digest("hex").slice(0, 16);
}

async function kubernetesVersion(): Promise<string> {
  const module = await readFile(join(source, "go.mod"), "utf8");
  return /k8s\.io\/kubernetes (v\S+)/.exec(module)?.[1] ?? "v0.0.0";
}

function binariesIn(folder: string): Binaries {
  return {
    folder,
    kube: join(folder, "kube"),
    kubectl: join(folder, "kubectl"),
    helm: join(folder, "helm"),
    coredns: join(folder, "coredns"),
    controller: join(folder, "controller"),
    pause: join(folder, "pause"),
    metallbCrds: join(folder, "metallb-crds"),
  };
}

/** Builds the programs unless they are cached. Takes minutes the first time, milliseconds later. */
export async function ensureBinaries(
  signal?: AbortSignal,
  onProgress: (line: string) => void = () => {},
): Promise<Binaries> {
  const folder = join(cacheFolder(process.env), "bin", await digestOfSource());
  if (await stat(folder).catch(() => undefined)) return binariesIn(folder);
  const unfinished = `${folder}.${process.pid}`;
  await mkdir(unfinished, { recursive: true });
  try {
    const options = { cwd: source, ...(signal && { cancelSignal: signal }) };
    onProgress("downloading modules");
    await execa("go", ["mod", "download"], { ...options, reject: false });
    const version = await kubernetesVersion();
    const [major, minor] = version.slice(1).split(".");
    const stamp = "-X k8s.io/component-base/version";
    onProgress("compiling");
    await execa(
      "go",
      [
        "build",
        "-trimpath",
        "-ldflags",
        `-s -w ${stamp}.gitVersion=${version} ${stamp}.gitMajor=${major} ${stamp}.gitMinor=${minor}`,
        "-o",
        `${unfinished}/`,
        ...programs,
      ],
      { ...options, env: { CGO_ENABLED: "0" } },
    );
    await symlink("kube", join(unfinished, "kubectl"));
    const { stdout } = await execa(
      "go",
      ["list", "-m", "-f", "{{.Dir}}", "go.universe.tf/metallb"],
      options,
    );
    await execa("cp", [
      "-rL",
      join(stdout, "config", "crd", "bases"),
      join(unfinished, "metallb-crds"),
    ]);
    await execa("chmod", ["-R", "u+w", unfinished]);
    await rename(unfinished, folder);
  } finally {
    await rm(unfinished, { recursive: true, force: true });
  }
  return binariesIn(folder);
}
