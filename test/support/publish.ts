import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { models } from "../demo/pictures.ts";
import type { Platform } from "./platform.ts";

/** Publishes one of the example's versions with a sample that its model does not score as recorded. */
export async function publishWrong(
  platform: Platform,
  model: string,
  version: string,
  of: string,
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "wrong-"));
  try {
    await cp(join(models, of), folder, { recursive: true });
    const path = join(folder, "samples", "1.json");
    const sample = JSON.parse(await readFile(path, "utf8")) as { expected: unknown };
    sample.expected = [[["nine", 99]]];
    await writeFile(path, JSON.stringify(sample));
    await platform.publish(folder, model, version);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
