import { AIApp } from "../crds/aiapp/aiapp.ts";
import { CliError } from "./errors.ts";
import type { Cluster } from "./kube.ts";
import { sanitize, sanitizeLine } from "./terminal.ts";

/** The AIApp as the API server returns it: the texts in it are untrusted, `sanitizeStrings` makes them safe to print. */
export async function readApp(name: string, cluster: Cluster, signal: AbortSignal): Promise<AIApp> {
  const read = AIApp.safeParse(await cluster.read(name, signal));
  if (read.success) return read.data;
  const issue = read.error.issues[0];
  throw new CliError(
    "AppUnreadable",
    `The AIApp ${name} in ${cluster.namespace} does not match the schema of this aiapp: ${issue?.path.join(".")} ${issue?.message}`,
    "The operator may be newer: use the aiapp of the operator's version, or kubectl describe aiapp.",
    read.error,
  );
}

/** Every string of the object, made safe to print: before any of it is styled, so that no field can be forgotten. */
export function sanitizeStrings<T extends object>(value: T): T {
  // The same shape with other strings.
  return sanitizeValue(value, sanitizeLine) as T;
}

function sanitizeValue(value: unknown, clean: (text: string) => string): unknown {
  if (typeof value === "string") return clean(value);
  if (Array.isArray(value)) return value.map((item) => sanitizeValue(item, clean));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [
      sanitizeLine(key),
      // Messages may have several lines, which are indented where they are printed.
      sanitizeValue(item, key === "message" ? sanitize : sanitizeLine),
    ]),
  );
}
