import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { parseArgs } from "node:util";

/**
 * `npm run notices [-- --root FOLDER --out FILE]`: writes the licences and notices of the packages that are installed in
 * FOLDER/node_modules and not only for development. The builds of images run it in the image, where no other package is:
 * it imports Node.js alone.
 */

interface Installed {
  readonly version?: string;
  readonly license?: string;
  readonly dev?: boolean;
  readonly link?: boolean;
}

const TEXTS = /^(licen[cs]e|copying|notice|third[-_]?party[-_]?notices?|patents)/i;
/** The prebuilt libvips, whose package has its licences in the README. */
const LIBVIPS = "node_modules/@img/sharp-libvips-";

function readJson(file: string): unknown {
  return JSON.parse(readFileSync(file, "utf8"));
}

/** Where a package comes from: `repository` is a text, or an object with a URL. */
function repositoryOf(folder: string): string {
  const { repository, homepage } = readJson(join(folder, "package.json")) as {
    readonly repository?: string | { readonly url?: string };
    readonly homepage?: string;
  };
  const url = typeof repository === "string" ? repository : repository?.url;
  return (url ?? homepage ?? "unknown").replace(/^git\+/, "").replace(/\.git$/, "");
}

/** The texts of a package, each below its file's name. */
function textsOf(folder: string, path: string, version: string): readonly string[] {
  const names = readdirSync(folder, { withFileTypes: true })
    .filter((file) => file.isFile() && TEXTS.test(file.name))
    .map(({ name }) => name);
  if (path.startsWith(LIBVIPS)) names.push("README.md");
  const texts = names
    .toSorted()
    .map((name) => `--- ${name}\n\n${readFileSync(join(folder, name), "utf8").trim()}`);
  if (path.startsWith(LIBVIPS)) {
    texts.push(
      `libvips is used as a shared library (lib/libvips-cpp.so.*) and can be replaced by another build of it. The source of this\nbuild, and of the libraries in it: https://github.com/lovell/sharp-libvips/tree/v${version}`,
    );
  }
  if (path === "node_modules/onnxruntime-node") {
    texts.push(
      `ONNX Runtime: Copyright (c) Microsoft Corporation. The notices of the libraries in it:\nhttps://github.com/microsoft/onnxruntime/blob/v${version}/ThirdPartyNotices.txt`,
    );
  }
  return texts.length > 0
    ? texts
    : ["The package has no file with its licence: see where it comes from."];
}

/** @param root a folder with node_modules that npm installed */
export function notices(root: string): string {
  const { packages } = readJson(join(root, "node_modules", ".package-lock.json")) as {
    readonly packages: Readonly<Record<string, Installed>>;
  };
  const parts = Object.entries(packages)
    .filter(
      ([path, { dev, link }]) => dev !== true && link !== true && existsSync(join(root, path)),
    )
    .toSorted(([one], [other]) => (one < other ? -1 : 1))
    .map(([path, { version = "", license = "no licence" }]) => {
      const folder = join(root, path);
      const name = path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length);
      const head = `${name} ${version}\nLicence: ${license}\nFrom: ${repositoryOf(folder)}`;
      return [head, ...textsOf(folder, path, version)].join("\n\n");
    });
  const about =
    "Software of others in this distribution, with their licences and notices. The licences of Node.js and of the Debian\npackages: https://github.com/nodejs/node/blob/main/LICENSE and /usr/share/doc/*/copyright in the image.";
  const line = "=".repeat(80);
  // npm installs a package at several places when its dependents need several versions.
  return `${[about, ...new Set(parts)].join(`\n\n${line}\n\n`)}\n`;
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      root: { type: "string", default: join(import.meta.dirname, "..") },
      out: { type: "string" },
    },
  });
  const out = resolve(values.out ?? join(values.root, "dist", "THIRD-PARTY-NOTICES.txt"));
  mkdirSync(dirname(out), { recursive: true });
  writeFileSync(out, notices(values.root));
}
