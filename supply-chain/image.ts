import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { execa } from "execa";
import { z } from "zod";

/**
 * `npm run image:check -- FOLDER`: what an image must not have: a shell, a package manager, setuid files, or files that its
 * user can change; and what it must have: a compile cache. FOLDER is an OCI layout, as `skopeo copy docker://…
 * oci:FOLDER:image` writes it.
 */

const Descriptor = z.object({ digest: z.string().regex(/^sha256:[0-9a-f]{64}$/) });
const Index = z.object({ manifests: z.tuple([Descriptor]) });
const Manifest = z.object({ config: Descriptor, layers: z.array(Descriptor) });
const Configuration = z.object({
  config: z.object({
    User: z.string().optional(),
    Cmd: z.array(z.string()).optional(),
    Env: z.array(z.string()).default([]),
  }),
});

interface File {
  readonly path: string;
  /** As `ls` prints it: `-rwxr-xr-x`. */
  readonly mode: string;
  readonly owner: string;
}

interface Image {
  readonly user: string;
  readonly command: readonly string[];
  /** `NAME=value` each. */
  readonly environment: readonly string[];
  readonly files: readonly File[];
}

const FORBIDDEN =
  /(^|\/)(sh|bash|dash|ash|zsh|busybox|toybox|perl|python[\d.]*|npm|npx|corepack|yarn|pnpm|apt|apt-get|dpkg|apk|curl|wget)$/;
/** In these folders programs are; elsewhere the names are those of modules. */
const PROGRAMS = /^(usr\/(local\/)?)?s?bin\/|(^|\/)\.bin\//;
const NON_ROOT = /^[1-9]\d*(:[1-9]\d*)?$/;

/** @throws if the folder is no OCI layout of one image */
export async function readImage(folder: string): Promise<Image> {
  const blob = ({ digest }: z.infer<typeof Descriptor>): string =>
    join(folder, "blobs", "sha256", digest.slice("sha256:".length));
  const json = async (path: string): Promise<unknown> => JSON.parse(await readFile(path, "utf8"));
  const { manifests } = Index.parse(await json(join(folder, "index.json")));
  const { config, layers } = Manifest.parse(await json(blob(manifests[0])));
  const configuration = Configuration.parse(await json(blob(config)));
  const listed = await Promise.all(layers.map((layer) => listLayer(blob(layer))));
  return {
    user: configuration.config.User ?? "",
    command: configuration.config.Cmd ?? [],
    environment: configuration.config.Env,
    files: listed.flat(),
  };
}

async function listLayer(archive: string): Promise<readonly File[]> {
  const { stdout } = await execa("tar", ["--numeric-owner", "-tvf", archive]);
  return stdout.split("\n").flatMap((line) => {
    const [, mode = "", owner = "", path = ""] =
      /^(\S+) (\S+) +\d+ \S+ \S+ (?:\.\/)?(.*?)( -> .*| link to .*)?$/.exec(line) ?? [];
    return path === "" ? [] : [{ path, mode, owner }];
  });
}

/** One line for each thing that an image must not have. */
export function findings(image: Image): readonly string[] {
  const { user, files } = image;
  const isWritable = ({ mode, path }: File): boolean =>
    mode[8] === "w" && !mode.startsWith("l") && path !== "tmp/";
  return [
    ...(hasCompileCache(image)
      ? []
      : [`it has no compile cache for its user (NODE_COMPILE_CACHE): each start compiles`]),
    ...(NON_ROOT.test(user) ? [] : [`its user is ${user || "root"}, not a number above 0`]),
    ...(files.length > 0 ? [] : ["it has no files"]),
    ...files.flatMap((file) => [
      ...(PROGRAMS.test(file.path) && FORBIDDEN.test(file.path) ? [`${file.path} is there`] : []),
      ...(/(^|\/)node_modules\/(npm|corepack)\/$/.test(file.path) ? [`${file.path} is there`] : []),
      ...(/s/i.test(file.mode.slice(1)) ? [`${file.path} is setuid or setgid`] : []),
      ...(isWritable(file) ? [`${file.path} can be written by every user`] : []),
      ...(file.owner === "0/0" ? [] : [`${file.path} belongs to ${file.owner}, not to root`]),
    ]),
  ];
}

/** Whether there are entries where Node.js looks for them, and its user can read them. */
function hasCompileCache({ user, environment, files }: Image): boolean {
  const [, folder] =
    environment.map((one) => one.split("=")).find(([name]) => name === "NODE_COMPILE_CACHE") ?? [];
  const [uid] = user.split(":");
  return files.some(({ path, mode }) => {
    const [, version, entry] = /^(.*\/v[^/]+)\/([0-9a-f]{8})$/.exec(`/${path}`) ?? [];
    const isTheirs = version?.startsWith(`${folder}/v`) === true && version.endsWith(`-${uid}`);
    return isTheirs && entry !== undefined && mode[7] === "r";
  });
}

if (import.meta.main) {
  const { positionals } = parseArgs({ allowPositionals: true });
  const [folder] = positionals;
  if (folder === undefined) throw new Error("the folder of an OCI layout is needed");
  const found = findings(await readImage(folder));
  process.stdout.write(found.map((line) => `${line}\n`).join(""));
  process.exitCode = found.length > 0 ? 1 : 0;
}
