import { createHash } from "node:crypto";
import { mkdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";

import { execa } from "execa";

import { cacheFolder } from "../cluster/layout.ts";

/** @returns undefined where there is no Python 3 that can make environments */
export async function findPython(): Promise<string | undefined> {
  const { exitCode } = await execa("python3", ["-c", "import ensurepip, venv"], { reject: false });
  return exitCode === 0 ? "python3" : undefined;
}

/** Python with these packages, in the cache folder; made at the first use. @returns its path */
export async function pythonWith(packages: readonly string[]): Promise<string> {
  const key = createHash("sha256").update(packages.join("\n")).digest("hex").slice(0, 16);
  const parent = join(cacheFolder(process.env), "python");
  const folder = join(parent, key);
  const python = join(folder, "bin", "python");
  if (await works(python)) return python;
  const draft = `${folder}.${process.pid}`;
  await mkdir(parent, { recursive: true });
  try {
    await execa("python3", ["-m", "venv", draft]);
    await execa(join(draft, "bin", "python"), [
      "-m",
      "pip",
      "install",
      "--quiet",
      "--disable-pip-version-check",
      ...packages,
    ]);
    // Another process may have made it meanwhile, and use it.
    if (await works(python)) return python;
    await rm(folder, { recursive: true, force: true });
    await rename(draft, folder);
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
  return python;
}

/** An installation that was cut short never gets this name; one whose Python has gone does not start. */
async function works(python: string): Promise<boolean> {
  const { exitCode } = await execa(python, ["--version"], { reject: false });
  return exitCode === 0;
}
