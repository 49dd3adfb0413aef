import satisfies from "spdx-satisfies";

import { productionPackages, readLockfile, type ProductionPackage } from "./lockfile.ts";

/** `npm run licences`: the licence of every package that we distribute is one that we have agreed to. */

/** They ask for their text and copyright notice at most, which `npm run notices` collects. */
const ALLOWED = [
  "0BSD",
  "Apache-2.0",
  "BlueOak-1.0.0",
  "BSD-2-Clause",
  "BSD-3-Clause",
  "CC0-1.0",
  "ISC",
  "MIT",
  "PSF-2.0",
  "Unlicense",
];

/**
 * libvips, which sharp loads as a shared library: users can replace it, and the notices say where its source is. That is
 * what the LGPL asks of those who distribute it.
 */
const ALLOWED_FOR: readonly { readonly packages: RegExp; readonly licence: string }[] = [
  { packages: /^@img\/sharp-/, licence: "LGPL-3.0-or-later" },
];

/** Whether the licence is allowed; an expression that is not SPDX is not. */
function isAllowed({ name, license }: ProductionPackage): boolean {
  if (license === undefined) return false;
  const more = ALLOWED_FOR.filter(({ packages }) => packages.test(name));
  try {
    return satisfies(license, [...ALLOWED, ...more.map(({ licence }) => licence)]);
  } catch {
    return false;
  }
}

/** One line for each package whose licence has not been agreed to. */
export function findings(packages: readonly ProductionPackage[]): readonly string[] {
  return packages
    .filter((one) => !isAllowed(one))
    .map(({ name, version, license = "no licence" }) => `${name}@${version}: ${license}`);
}

if (import.meta.main) {
  const found = findings(productionPackages(readLockfile()));
  if (found.length > 0) {
    process.stderr.write(
      [
        "These packages are part of an image or of the CLI, with licences that are not allowed yet:",
        ...found.map((line) => `  ${line}`),
        "Read the licence. If its terms can be kept, allow it in supply-chain/licences.ts and say how they are kept; if not,",
        "use another package (npm explain NAME shows what depends on it).\n",
      ].join("\n"),
    );
    process.exitCode = 1;
  }
}
