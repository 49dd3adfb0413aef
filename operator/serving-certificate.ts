import { readFile } from "node:fs/promises";
import type { Server } from "node:https";
import { join } from "node:path";
import { createSecureContext } from "node:tls";

import type { Clock } from "./clock.ts";
import { messageOf, OperatorError } from "./errors.ts";
import type { Logger } from "./log.ts";

/** As in a Secret of type kubernetes.io/tls. */
export interface ServingCertificate {
  readonly cert: string;
  readonly key: string;
}

/** The kubelet writes a changed Secret into the pod within a minute or two. */
const CHECK_MS = 30_000;

/** @throws CONFIG_INVALID if the folder has no certificate with its key */
export async function readCertificate(folder: string): Promise<ServingCertificate> {
  try {
    const [cert, key] = await Promise.all(
      ["tls.crt", "tls.key"].map((name) => readFile(join(folder, name), "utf8")),
    );
    const certificate = { cert: cert ?? "", key: key ?? "" };
    // Throws unless the key is that of the certificate.
    createSecureContext(certificate);
    return certificate;
  } catch (cause) {
    throw new OperatorError(
      "CONFIG_INVALID",
      `METRICS_TLS_FOLDER ${folder} must have tls.crt and the tls.key that belongs to it: ${messageOf(cause)}`,
      { cause },
    );
  }
}

/** Serves a rotated certificate as soon as its files are whole; until then the one before. Returns what ends that. */
export function followCertificate(
  server: Server,
  folder: string,
  first: ServingCertificate,
  { clock, log }: { readonly clock: Clock; readonly log: Logger },
): () => void {
  let current = first;
  let ended = false;
  let cancel = clock.after(CHECK_MS, () => void check());

  async function check(): Promise<void> {
    try {
      const next = await readCertificate(folder);
      if (ended) return;
      if (next.cert !== current.cert || next.key !== current.key) {
        server.setSecureContext(next);
        current = next;
        log.info("serving metrics with a new certificate");
      }
    } catch (error) {
      log.warn(
        { error },
        "the certificate for metrics cannot be read: serving with the one before",
      );
    }
    if (!ended) cancel = clock.after(CHECK_MS, () => void check());
  }

  return () => {
    ended = true;
    cancel();
  };
}
