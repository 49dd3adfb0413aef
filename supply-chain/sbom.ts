import { createHash } from "node:crypto";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

import { execa } from "execa";
import { z } from "zod";

import { readLockfile, root, type Lockfile } from "./lockfile.ts";

/**
 * `npm run sbom`: writes dist/sbom/NAME.cdx.json (CycloneDX) for each image and the CLI, from package-lock.json by
 * `npm sbom`. The same lockfile gives the same bytes.
 */

const WORKSPACES = ["crds", "operator", "model-server", "cli"];
/** What each one contains: crds is shared source, not a dependency that npm knows of. */
const subjects = {
  operator: ["crds", "operator"],
  "model-server": ["crds", "model-server"],
  cli: ["crds", "cli"],
} as const;
type Subject = keyof typeof subjects;

const Bom = z.looseObject({
  serialNumber: z.string(),
  metadata: z.looseObject({ timestamp: z.string(), component: z.looseObject({}) }),
  components: z.array(z.looseObject({ name: z.string(), version: z.string() })),
});
export type Bom = z.infer<typeof Bom>;

/** Without what is only for development: with it, `npm sbom --omit=dev` leaves out packages that both kinds use. */
function withoutDevelopment(lockfile: Lockfile): Lockfile {
  const { "": own = {}, ...packages } = lockfile.packages;
  const { devDependencies: _, ...rest } = own;
  const kept = Object.entries(packages).filter(([, { dev }]) => dev !== true);
  return { ...lockfile, packages: { "": rest, ...Object.fromEntries(kept) } };
}

/** Writes package.json and package-lock.json of all workspaces into a folder. */
function writeProject(folder: string): void {
  const Manifest = z.looseObject({ devDependencies: z.unknown() });
  const text = readFileSync(join(root, "package.json"), "utf8");
  const { devDependencies: _, ...manifest } = Manifest.parse(JSON.parse(text));
  writeFileSync(join(folder, "package.json"), JSON.stringify(manifest));
  writeFileSync(
    join(folder, "package-lock.json"),
    JSON.stringify(withoutDevelopment(readLockfile())),
  );
  for (const workspace of WORKSPACES) {
    const file = join(workspace, "package.json");
    mkdirSync(join(folder, workspace));
    cpSync(join(root, file), join(folder, file));
  }
}

/** A version 8 UUID of the content: `npm sbom` gives each one a random number. */
function uuidOf(text: string): string {
  const hex = createHash("sha256").update(text).digest("hex");
  const parts = [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `8${hex.slice(13, 16)}`,
    `8${hex.slice(17, 20)}`,
  ];
  return [...parts, hex.slice(20, 32)].join("-");
}

function reproducible(bom: Bom, name: string, seconds: number): Bom {
  const timestamp = new Date(seconds * 1000).toISOString();
  const component = { ...bom.metadata.component, name: `aiapp-${name}` };
  const made = { ...bom, metadata: { ...bom.metadata, timestamp, component }, serialNumber: "" };
  return { ...made, serialNumber: `urn:uuid:${uuidOf(JSON.stringify(made))}` };
}

/**
 * @param seconds since the epoch: what the SBOMs give as their time
 * @throws if npm fails
 */
export async function createBoms(
  seconds: number,
  names: readonly Subject[] = ["operator", "model-server", "cli"],
): Promise<ReadonlyMap<string, Bom>> {
  const folder = mkdtempSync(join(tmpdir(), "aiapp-sbom-"));
  try {
    writeProject(folder);
    const made = names.map(async (name) => {
      const { stdout } = await execa(
        "npm",
        [
          "sbom",
          "--package-lock-only",
          "--sbom-format=cyclonedx",
          ...subjects[name].map((workspace) => `--workspace=${workspace}`),
        ],
        { cwd: folder },
      );
      return [name, reproducible(Bom.parse(JSON.parse(stdout)), name, seconds)] as const;
    });
    return new Map(await Promise.all(made));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** SOURCE_DATE_EPOCH, or the time of the commit. */
async function commitTime(): Promise<number> {
  const given = process.env["SOURCE_DATE_EPOCH"];
  if (given !== undefined) return Number(given);
  const { stdout } = await execa("git", ["log", "-1", "--format=%ct"], { cwd: root });
  return Number(stdout);
}

if (import.meta.main) {
  for (const [name, bom] of await createBoms(await commitTime())) {
    const file = join(root, "dist", "sbom", `${name}.cdx.json`);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, `${JSON.stringify(bom, undefined, 2)}\n`);
    process.stdout.write(`${file}: ${bom.components.length} components\n`);
  }
}
