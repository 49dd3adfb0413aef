import { formatBytes, formatCount, formatDuration } from "../format.ts";
import type { Terminal } from "../terminal.ts";
import { safeJson } from "../terminal.ts";
import { verifyFolder } from "../verify/verify.ts";
import { credentialFromEnvironment } from "./credential.ts";
import { parseDestination } from "./destination.ts";
import { publishProgress } from "./progress.ts";
import type { Published } from "./publish.ts";
import { publish } from "./publish.ts";

export interface PublishFlags {
  readonly to: string;
  readonly output: "text" | "json";
  readonly parallel: number;
  readonly allowHttp: boolean;
  readonly anyVersion: boolean;
  /** Whether the model server checks the folder first. */
  readonly verify: boolean;
}

export async function publishCommand(
  folder: string,
  flags: PublishFlags,
  terminal: Terminal,
  env: Readonly<Record<string, string | undefined>>,
  now: () => number,
  signal: AbortSignal,
): Promise<void> {
  // What is wrong with the command itself is said before a large model is loaded.
  parseDestination(flags.to, flags);
  if (flags.verify) await verifyFolder(folder, terminal, signal);
  const began = now();
  const progress = publishProgress(terminal, now);
  try {
    const published = await publish(
      {
        folder,
        to: flags.to,
        parallel: flags.parallel,
        allowHttp: flags.allowHttp,
        anyVersion: flags.anyVersion,
        credential: credentialFromEnvironment(env),
        now,
        report: progress.report,
      },
      signal,
    );
    progress.end();
    terminal.out(
      flags.output === "json"
        ? `${safeJson(published)}\n`
        : publishedText(published, now() - began),
    );
  } finally {
    progress.end();
  }
}

export function publishedText(published: Published, tookMs: number): string {
  const { store, name, version, digest, files, bytes, uploaded } = published;
  const resumed = uploaded < files ? `, ${files - uploaded} of them uploaded before` : "";
  return [
    `Published ${name} ${version}: ${formatCount(files, "file")}${resumed}, ${formatBytes(bytes)}, in ${formatDuration(tookMs)}`,
    `  store   ${store}`,
    `  digest  ${digest}`,
    "",
    "Release it (AIApps that follow latest release it without this):",
    `  kubectl patch aiapp <app> --type merge --patch '{"spec":{"modelVersion":"${version}"}}'`,
    "  kubectl aiapp status <app> --watch",
    "",
  ].join("\n");
}
