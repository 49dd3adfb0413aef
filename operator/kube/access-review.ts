import { KubeConfig } from "@kubernetes/client-node";

import { createTransport, type Transport } from "./transport.ts";

export type Access = "allowed" | "forbidden" | "unauthenticated";

/** Whether the user of a token may GET a path, as the API server decides by TokenReview and SubjectAccessReview. */
export type ReviewAccess = (token: string, path: string, signal: AbortSignal) => Promise<Access>;

interface User {
  readonly username?: string;
  readonly uid?: string;
  readonly groups?: readonly string[];
  readonly extra?: Readonly<Record<string, readonly string[]>>;
}

const REQUEST_TIMEOUT_MS = 10_000;

/** @param kubeconfig a file; the pod's own ServiceAccount when not given */
export function createAccessReview(kubeconfig?: string): ReviewAccess {
  const config = new KubeConfig();
  if (kubeconfig === undefined) config.loadFromDefault();
  else config.loadFromFile(kubeconfig);
  const transport = createTransport({ config, requestTimeoutMs: REQUEST_TIMEOUT_MS });
  return async (token, path, signal) => {
    const user = await userOf(transport, token, signal);
    if (user === undefined) return "unauthenticated";
    return (await isAllowed(transport, user, path, signal)) ? "allowed" : "forbidden";
  };
}

/** @throws KUBE_… if the API server cannot be asked, or does not let us */
async function userOf(
  transport: Transport,
  token: string,
  signal: AbortSignal,
): Promise<User | undefined> {
  const apiVersion = "authentication.k8s.io/v1";
  const value = { apiVersion, kind: "TokenReview", spec: { token } };
  const { status } = await transport.json<{
    readonly status?: { readonly authenticated?: boolean; readonly user?: User };
  }>(
    {
      method: "POST",
      path: `/apis/${apiVersion}/tokenreviews`,
      body: { type: "application/json", value },
    },
    signal,
  );
  return status?.authenticated === true ? status.user : undefined;
}

async function isAllowed(
  transport: Transport,
  { username, uid, groups, extra }: User,
  path: string,
  signal: AbortSignal,
): Promise<boolean> {
  const apiVersion = "authorization.k8s.io/v1";
  const nonResourceAttributes = { path, verb: "get" };
  const spec = { user: username, uid, groups, extra, nonResourceAttributes };
  const value = { apiVersion, kind: "SubjectAccessReview", spec };
  const { status } = await transport.json<{ readonly status?: { readonly allowed?: boolean } }>(
    {
      method: "POST",
      path: `/apis/${apiVersion}/subjectaccessreviews`,
      body: { type: "application/json", value },
    },
    signal,
  );
  return status?.allowed === true;
}
