import { readFile } from "node:fs/promises";
import { join } from "node:path";

import { pythonWith } from "../support/python.ts";

/** The folder of the servers' own programs and of their packages. */
export const peersFolder = import.meta.dirname;

async function packagesFor(name: string): Promise<readonly string[]> {
  const text = await readFile(join(peersFolder, `${name}.txt`), "utf8");
  return text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
}

/** Python with the packages of `<name>.txt`, all of them at the versions that it names. @returns its path */
export async function pythonFor(name: string): Promise<string> {
  return pythonWith(await packagesFor(name));
}

/** The version of a server, as `<name>.txt` has it. */
export async function versionOf(name: string): Promise<string> {
  const line = (await packagesFor(name)).find((one) => one.startsWith(`${name}==`));
  return line?.slice(name.length + 2) ?? "";
}

/** What their programs get besides: their folder on the path, and nothing written into it. */
export const peerEnvironment = {
  PYTHONPATH: peersFolder,
  PYTHONDONTWRITEBYTECODE: "1",
} as const;
