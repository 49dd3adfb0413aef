import { basename, extname } from "node:path";

import { safeJson, sanitizeLine, type Terminal } from "../terminal.ts";
import { describe, progressOn, warn } from "../verify/verify.ts";
import { makeBundle } from "./bundle.ts";

export interface BundleFlags {
  readonly out?: string;
  readonly labels?: string;
  readonly preprocessing?: string;
  readonly postprocessing?: string;
  readonly sample: readonly string[];
  readonly output: "text" | "json";
}

export async function bundleCommand(
  model: string,
  { out, sample, output, ...files }: BundleFlags,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<void> {
  const to = out ?? basename(model, extname(model));
  const result = await makeBundle(
    { model, to, samples: sample, ...files },
    progressOn(terminal),
    signal,
  );
  if (output === "json") {
    terminal.out(`${safeJson({ folder: to, ...result })}\n`);
    return;
  }
  if (result.kind !== "servable") return;
  if (result.samples === 0)
    warn(terminal, "the model does not say enough to make a sample: give some with --sample");
  terminal.out(
    `Made ${sanitizeLine(to)}.\n${describe(result)}\nTry it, then publish it:\n  npm run serve -- ${sanitizeLine(to)}\n  aiapp publish ${sanitizeLine(to)} --to <store>/<name>/<version>\n`,
  );
}
