import { isOperatorError, OperatorError } from "../errors.ts";
import type { Kube } from "../kube/client.ts";
import { kinds, type V1Secret } from "../kube/types.ts";

/** Where a notification goes. Holds secrets: never log it, never put it in a message. */
export interface Target {
  readonly url: URL;
  readonly token: string | undefined;
}

/**
 * Reads the Secret of a notification, at each attempt: a webhook that is replaced counts at once.
 *
 * @throws SECRET_NOT_FOUND, SECRET_INVALID, CREDENTIALS_MISSING, and errors of the API server
 */
export async function readTarget(
  kube: Pick<Kube, "get">,
  namespace: string,
  name: string,
  signal: AbortSignal,
): Promise<Target> {
  const secret = await readSecret(kube, namespace, name, signal);
  if (secret === undefined) {
    throw new OperatorError(
      "SECRET_NOT_FOUND",
      `Secret ${namespace}/${name}, which spec.notifications names, does not exist: create it with the key url`,
    );
  }
  const text = valueOf(secret, "url");
  const url = text === undefined ? null : URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    const what = text === undefined ? "lacks the key url" : "has no URL in its key url";
    throw new OperatorError(
      "SECRET_INVALID",
      `Secret ${namespace}/${name} ${what}: set it to the URL of the webhook, which begins with https://`,
    );
  }
  const token = valueOf(secret, "token");
  if (token !== undefined && !/^[\x21-\x7e]+$/.test(token)) {
    throw new OperatorError(
      "SECRET_INVALID",
      `Secret ${namespace}/${name}: the key token has characters that no header may have: write it without spaces and line breaks`,
    );
  }
  return { url, token };
}

async function readSecret(
  kube: Pick<Kube, "get">,
  namespace: string,
  name: string,
  signal: AbortSignal,
): Promise<V1Secret | undefined> {
  try {
    return await kube.get(kinds.secret, namespace, name, signal);
  } catch (error) {
    if (!isOperatorError(error, "KUBE_FORBIDDEN")) throw error;
    throw new OperatorError(
      "CREDENTIALS_MISSING",
      `the operator lacks permission to read Secret ${namespace}/${name}: list the namespace in the chart's tenantNamespaces`,
      { cause: error },
    );
  }
}

function valueOf({ data = {} }: V1Secret, key: string): string | undefined {
  const value = data[key];
  const text = value === undefined ? "" : Buffer.from(value, "base64").toString("utf8").trim();
  return text === "" ? undefined : text;
}
