import { readFileSync } from "node:fs";
import { join } from "node:path";

import { z } from "zod";

/** What package-lock.json says of the packages that the images and the CLI contain. */

export const root = join(import.meta.dirname, "..");

const Entry = z.looseObject({
  name: z.string().optional(),
  version: z.string().optional(),
  license: z.string().optional(),
  dev: z.boolean().optional(),
  link: z.boolean().optional(),
});

export const Lockfile = z.looseObject({ packages: z.record(z.string(), Entry) });
export type Lockfile = z.infer<typeof Lockfile>;

export interface ProductionPackage {
  readonly name: string;
  readonly version: string;
  /** The SPDX expression that the package declares. */
  readonly license: string | undefined;
}

const MODULES = "node_modules/";

export function readLockfile(): Lockfile {
  return Lockfile.parse(JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")));
}

/** All packages that are not only for development, for every platform; ours, which are links, are left out. */
export function productionPackages({ packages }: Lockfile): readonly ProductionPackage[] {
  return Object.entries(packages)
    .filter(([path, { dev, link }]) => path.includes(MODULES) && dev !== true && link !== true)
    .map(([path, { name, version = "unknown", license }]) => ({
      name: name ?? path.slice(path.lastIndexOf(MODULES) + MODULES.length),
      version,
      license,
    }));
}
