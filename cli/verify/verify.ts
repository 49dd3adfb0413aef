import { resolve } from "node:path";

import type { CheckedPort } from "../../crds/check.ts";
import { formatCount } from "../format.ts";
import { readFolder } from "../publish/folder.ts";
import { safeJson, sanitize, sanitizeLine, type Terminal } from "../terminal.ts";
import { runCheck, type CheckProgress } from "./model-server.ts";

type Servable = Extract<Awaited<ReturnType<typeof runCheck>>, { readonly kind: "servable" }>;

/**
 * Checks a folder as `publish` and a pod of the model server do.
 * @returns undefined for a folder without model.onnx, which a server of another kind serves
 * @throws BundleInvalid, BundleRefused, CheckFailed
 */
export async function verifyFolder(
  folder: string,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<Servable | undefined> {
  const { files } = await readFolder(folder, signal);
  if (!files.some(({ path }) => path === "model.onnx")) return undefined;
  const result = await runCheck("bundle", resolve(folder), progressOn(terminal), signal);
  return result.kind === "servable" ? result : undefined;
}

export async function verifyCommand(
  folder: string,
  flags: { readonly output: "text" | "json" },
  terminal: Terminal,
  signal: AbortSignal,
): Promise<void> {
  const { files, warnings } = await readFolder(folder, signal);
  for (const warning of warnings) warn(terminal, warning);
  const result = await verifyFolder(folder, terminal, signal);
  if (flags.output === "json") {
    terminal.out(`${safeJson({ files: files.length, ...(result ?? { kind: "unchecked" }) })}\n`);
    return;
  }
  if (result === undefined) {
    terminal.out(`${sanitizeLine(folder)} can be published; no model server checked it.\n`);
    return;
  }
  if (result.samples === 0) warn(terminal, NO_SAMPLES);
  terminal.out(`${sanitizeLine(folder)} can be served.\n${describe(result)}`);
}

const NO_SAMPLES =
  "no samples: nothing proves that the model answers in a pod as it did where it was trained; aiapp bundle --sample records some";

export function warn(terminal: Terminal, message: string): void {
  terminal.err(`${terminal.style.notice("warning:")} ${sanitize(message)}\n`);
}

/** What is being checked, on one line each: a large model takes minutes. */
export function progressOn(terminal: Terminal): (event: CheckProgress) => void {
  const phases = {
    files: "Checking the files",
    model: "Loading the model",
    samples: undefined,
  } as const;
  return (event) => {
    if (event.kind === "phase") {
      const text = phases[event.phase];
      if (text !== undefined) terminal.err(`${text}\n`);
      return;
    }
    terminal.err(`Scored ${sanitizeLine(event.path)} (${event.done} of ${event.of})\n`);
  };
}

/** What the bundle is, as far as the model server has seen. */
export function describe({ inputs, outputs, labels, image, samples }: Servable): string {
  const ports = (all: readonly CheckedPort[]): string =>
    all
      .map(({ name, datatype, shape }) => {
        const sizes = shape.map((size) => (size === -1 ? "any" : String(size)));
        return `${sanitizeLine(name)} ${datatype} [${sizes.join(", ")}]`;
      })
      .join(", ");
  return [
    `  inputs   ${ports(inputs)}`,
    `  outputs  ${ports(outputs)}`,
    ...(image === undefined ? [] : [`  images   become ${image.width} × ${image.height} pixels`]),
    `  labels   ${labels ?? "none: POST /score answers values"}`,
    `  samples  ${samples === 0 ? "none" : `${formatCount(samples, "answer")} as expected`}`,
    "",
  ].join("\n");
}
