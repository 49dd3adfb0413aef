import { OperatorError } from "../errors.ts";
import type { Identity } from "./identity.ts";
import { nameOf, type ImageReference } from "./reference.ts";

/** What a registry's answer means, whichever client asked. */

export interface Answer {
  readonly status: number;
  /** The header's value. */
  readonly retryAfter: string | undefined;
}

/** Some registries give the whole list of tags in one answer; nothing else that they say is long. */
export const MAX_ANSWER_BYTES = 8 * 1024 * 1024;

export class AnswerTooLargeError extends Error {
  override readonly name = "AnswerTooLargeError";

  constructor(host: string) {
    super(`${host} answers with more than ${MAX_ANSWER_BYTES} bytes`);
  }
}

/** Judges a HEAD's answer, whichever client sent it. */
export function digestOf(
  answer: Answer,
  digest: unknown,
  reference: ImageReference,
  identity: Identity,
): string {
  if (answer.status !== 200) throw errorOf(answer, reference, identity);
  if (typeof digest !== "string" || !/^sha256:[0-9a-f]{64}$/.test(digest)) {
    throw new OperatorError(
      "REGISTRY_UNEXPECTED_RESPONSE",
      `${reference.registry} named no digest for ${nameOf(reference)}: is it a registry?`,
    );
  }
  if (reference.digest !== undefined && digest !== reference.digest) {
    throw new OperatorError(
      "REGISTRY_UNEXPECTED_RESPONSE",
      `${reference.registry} answered ${digest} when asked for ${reference.digest}`,
    );
  }
  return digest;
}

export function refused(
  reference: ImageReference,
  identity: Identity,
  status: number,
): OperatorError {
  const who = {
    anonymous: "anonymous reads (name credentials.registry, or make the repository public)",
    workload: "the workload identity (give it AcrPull, or Container Registry Repository Reader)",
    basic: "the login in the registry Secret (renew it)",
    accountKey: "this identity",
    sas: "this identity",
  }[identity.kind];
  return new OperatorError(
    "REGISTRY_AUTH_FAILED",
    `${reference.registry} refuses ${who} for ${reference.repository}: ${status}`,
  );
}

export function errorOf(
  { status, retryAfter }: Answer,
  reference: ImageReference,
  identity: Identity,
): OperatorError {
  const seconds = Number(retryAfter);
  const retryAfterMs = seconds > 0 ? Math.min(seconds, 3600) * 1000 : undefined;
  const name = nameOf(reference);
  if (status === 401 || status === 403) return refused(reference, identity, status);
  if (status === 404) {
    return new OperatorError(
      "IMAGE_NOT_FOUND",
      `${name} is not there (or hidden from this identity): push it, or correct spec.image`,
    );
  }
  if (status === 429) {
    return new OperatorError(
      "REGISTRY_THROTTLED",
      `${reference.registry} asks to slow down: polls wait${seconds > 0 ? ` ${seconds} s` : ""}; nothing is to be done unless it lasts`,
      { retryAfterMs: retryAfterMs ?? 30_000 },
    );
  }
  if (status >= 500) {
    return new OperatorError(
      "REGISTRY_UNAVAILABLE",
      `${reference.registry} answered ${status} for ${name}: it is tried again`,
      { retryAfterMs },
    );
  }
  return new OperatorError(
    "REGISTRY_UNEXPECTED_RESPONSE",
    `${reference.registry} answered ${status} for ${name}, as no registry should`,
  );
}

/** What JSON says; undefined for what is none. */
export function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

export function unreachable(reference: ImageReference, error: unknown): OperatorError {
  if (error instanceof OperatorError) return error;
  const timedOut = error instanceof Error && error.name === "AbortError";
  const detail = timedOut
    ? "it did not answer in time"
    : error instanceof Error
      ? error.message
      : String(error);
  const inner =
    error instanceof Error && error.cause instanceof OperatorError ? error.cause : undefined;
  return (
    inner ??
    new OperatorError(
      "REGISTRY_UNAVAILABLE",
      `${reference.registry} cannot be reached: ${detail}`,
      { cause: error },
    )
  );
}
