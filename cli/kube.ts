import { GROUP, PLURAL, VERSION } from "../crds/names.ts";
import { CliError, reasonOf } from "./errors.ts";

/** Which cluster and namespace to read; the kubeconfig has the defaults, as for kubectl. */
export interface KubeTarget {
  readonly kubeconfig?: string;
  readonly context?: string;
  readonly namespace?: string;
}

export interface AppReader {
  readonly namespace: string;
  /** The AIApp as the API server returns it, not validated. */
  readonly read: (name: string, signal: AbortSignal) => Promise<unknown>;
}

const REQUEST_TIMEOUT_MS = 15_000;

/** Imports the Kubernetes client, which takes half a second: `publish` does not need it. */
export async function openCluster(target: KubeTarget): Promise<AppReader> {
  const { ApiException, CustomObjectsApi, KubeConfig, ServerConfiguration, createConfiguration } =
    await import("@kubernetes/client-node");
  const config = new KubeConfig();
  try {
    if (target.kubeconfig) config.loadFromFile(target.kubeconfig);
    else config.loadFromDefault();
    if (target.context !== undefined) {
      if (!config.getContextObject(target.context)) throw new Error(`no context ${target.context}`);
      config.setCurrentContext(target.context);
    }
  } catch (error) {
    throw invalidKubeconfig(reasonOf(error), error);
  }
  const cluster = config.getCurrentCluster();
  if (!cluster) throw invalidKubeconfig("it has no current cluster");
  const { server } = cluster;
  const namespace =
    target.namespace ?? config.getContextObject(config.getCurrentContext())?.namespace ?? "default";

  async function read(name: string, signal: AbortSignal): Promise<unknown> {
    const either = AbortSignal.any([signal, AbortSignal.timeout(REQUEST_TIMEOUT_MS)]);
    // A middleware is the client's only way to pass an AbortSignal.
    const api = new CustomObjectsApi(
      createConfiguration({
        baseServer: new ServerConfiguration(server, {}),
        authMethods: { default: config },
        promiseMiddleware: [
          {
            pre: async (context) => {
              context.setSignal(either);
              return context;
            },
            post: async (context) => context,
          },
        ],
      }),
    );
    try {
      return await api.getNamespacedCustomObject({
        group: GROUP,
        version: VERSION,
        plural: PLURAL,
        namespace,
        name,
      });
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof ApiException) throw errorOf(error.code, error.body, name, error);
      throw new CliError(
        "ClusterUnavailable",
        `The API server ${server} did not answer: ${reasonOf(either.aborted ? "no response in 15 s" : error)}`,
        "Check the network or VPN, and the context: kubectl config get-contexts.",
        error,
      );
    }
  }

  function errorOf(status: number, body: unknown, name: string, cause: unknown): CliError {
    const text = typeof body === "string" ? body : JSON.stringify(body ?? {});
    if (status === 404 && text.includes(`\\"${name}\\" not found`)) {
      return new CliError(
        "AppNotFound",
        `There is no AIApp ${name} in the namespace ${namespace} of ${server}`,
        "List them: kubectl get aiapps --all-namespaces; choose with --namespace.",
        cause,
      );
    }
    if (status === 404) {
      return new CliError(
        "AppNotFound",
        `${server} does not serve the AIApp API`,
        "Install the operator's chart (charts/aiapp-operator), or choose another --context.",
        cause,
      );
    }
    if (status === 401 || status === 403) {
      return new CliError(
        "ClusterAuthFailed",
        `${server} refused to return the AIApp ${name} in ${namespace} (${status})`,
        `Log in again, or check your permission: kubectl auth can-i get aiapps.${GROUP} --namespace ${namespace}.`,
        cause,
      );
    }
    return new CliError(
      "ClusterUnavailable",
      `The API server ${server} responded with ${status}`,
      "Try again; --verbose shows the response.",
      cause,
    );
  }

  return { namespace, read };
}

function invalidKubeconfig(why: string, cause?: unknown): CliError {
  return new CliError(
    "KubeconfigInvalid",
    `The kubeconfig cannot be used: ${why}`,
    "Set KUBECONFIG or --kubeconfig to a file that kubectl works with.",
    cause,
  );
}
