import { setTimeout as delay } from "node:timers/promises";

import { AIApp } from "../../crds/aiapp/aiapp.ts";
import type { Platform } from "./platform.ts";

export async function readApp(platform: Platform, namespace: string, name: string): Promise<AIApp> {
  const text = await platform.kubectl([
    "get",
    "aia",
    name,
    "--namespace",
    namespace,
    "--output",
    "json",
  ]);
  return AIApp.parse(JSON.parse(text));
}

/** Merges into the spec, as `kubectl patch` does; null removes a field. */
export async function patchSpec(
  platform: Platform,
  { namespace, name }: { readonly namespace: string; readonly name: string },
  spec: unknown,
): Promise<void> {
  // prettier-ignore
  await platform.kubectl(["patch", "aia", name, "--namespace", namespace, "--type", "merge", "--patch", JSON.stringify({ spec })]);
}

export function condition(
  app: AIApp,
  type: string,
): { readonly status: string; readonly reason: string; readonly message: string } | undefined {
  return app.status?.conditions?.find((one) => one.type === type);
}

/** The status in one line, for the message of a wait that timed out. */
export function summaryOf({ status, metadata }: AIApp): string {
  const conditions = (status?.conditions ?? []).map(
    ({ type, status: value, reason, message }) => `${type}=${value} ${reason}: ${message}`,
  );
  return `${metadata.namespace}/${metadata.name} current ${status?.current?.id ?? "none"}; ${conditions.join(" | ")}`;
}

/** Polls the app until `check` holds. @throws with the last status after `withinMs` */
export async function waitFor(
  platform: Platform,
  { namespace, name }: { readonly namespace: string; readonly name: string },
  what: string,
  check: (app: AIApp) => boolean | Promise<boolean>,
  withinMs = 120_000,
): Promise<AIApp> {
  const deadline = Date.now() + withinMs;
  for (;;) {
    const app = await readApp(platform, namespace, name);
    if (await check(app)) return app;
    if (Date.now() > deadline)
      throw new Error(`waited ${withinMs / 1000} s for ${what} without success: ${summaryOf(app)}`);
    await delay(200);
  }
}

/** Whether the newest pair of the latest generation is fully rolled out and serves. */
export function isReleased(app: AIApp): boolean {
  const { status, metadata } = app;
  return (
    status?.observedGeneration === metadata.generation &&
    condition(app, "Ready")?.status === "True" &&
    condition(app, "Released")?.status === "True" &&
    condition(app, "Reconciling") === undefined &&
    status.current !== undefined &&
    status.url !== undefined
  );
}
