import type { CustomObjectsApi } from "@kubernetes/client-node";

import { GROUP, labels, PLURAL, VERSION } from "../crds/names.ts";
import { CliError, reasonOf } from "./errors.ts";

/** Which cluster and namespace to use; the kubeconfig has the defaults, as for kubectl. */
export interface KubeTarget {
  readonly kubeconfig?: string;
  readonly context?: string;
  readonly namespace?: string;
}

/** Annotations to set; null removes one. */
export type Annotations = Readonly<Record<string, string | null>>;

export interface Cluster {
  readonly namespace: string;
  /** The AIApp as the API server returns it, not validated. */
  readonly read: (name: string, signal: AbortSignal) => Promise<unknown>;
  /** Changes these annotations of an AIApp and nothing else. Returns the AIApp, not validated. */
  readonly annotate: (name: string, values: Annotations, signal: AbortSignal) => Promise<unknown>;
  /** The metadata of an AIApp's release records, not validated; undefined if the caller may not list them. */
  readonly listRecords: (name: string, signal: AbortSignal) => Promise<unknown>;
}

/** The operator reports it as the one who asked. */
const FIELD_MANAGER = "aiapp-cli";
const REQUEST_TIMEOUT_MS = 15_000;
/** The operator keeps at most some more than 50 releases. */
const MAX_RECORDS = 200;

interface Call {
  readonly name: string;
  readonly verb: "get" | "patch" | "list";
  readonly headers?: Readonly<Record<string, string>>;
  readonly run: (api: CustomObjectsApi) => Promise<unknown>;
}

/** Imports the Kubernetes client, which takes half a second: `publish` does not need it. */
export async function openCluster(target: KubeTarget): Promise<Cluster> {
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

  async function request(call: Call, signal: AbortSignal): Promise<unknown> {
    const either = AbortSignal.any([signal, AbortSignal.timeout(REQUEST_TIMEOUT_MS)]);
    // A middleware is the client's only way to pass an AbortSignal, or to choose a media type.
    const api = new CustomObjectsApi(
      createConfiguration({
        baseServer: new ServerConfiguration(server, {}),
        authMethods: { default: config },
        promiseMiddleware: [
          {
            pre: async (context) => {
              context.setSignal(either);
              for (const [header, value] of Object.entries(call.headers ?? {}))
                context.setHeaderParam(header, value);
              return context;
            },
            post: async (context) => context,
          },
        ],
      }),
    );
    try {
      return await call.run(api);
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof ApiException) {
        const { code, body } = error;
        throw refusal({ server, namespace, ...call }, code, body, error);
      }
      throw new CliError(
        "ClusterUnavailable",
        `The API server ${server} did not answer: ${reasonOf(either.aborted ? "no response in 15 s" : error)}`,
        "Check the network or VPN, and the context: kubectl config get-contexts.",
        error,
      );
    }
  }

  const app = { group: GROUP, version: VERSION, plural: PLURAL, namespace };
  return {
    namespace,
    read: (name, signal) =>
      request(
        { name, verb: "get", run: (api) => api.getNamespacedCustomObject({ ...app, name }) },
        signal,
      ),
    annotate: (name, values, signal) =>
      request(
        {
          name,
          verb: "patch",
          headers: { "Content-Type": "application/merge-patch+json" },
          run: (api) =>
            api.patchNamespacedCustomObject({
              ...app,
              name,
              body: { metadata: { annotations: values } },
              fieldManager: FIELD_MANAGER,
            }),
        },
        signal,
      ),
    async listRecords(name, signal) {
      try {
        return await request(
          {
            name,
            verb: "list",
            // The records' data is large, and not needed.
            headers: { Accept: "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1" },
            run: (api) =>
              api.listNamespacedCustomObject({
                group: "apps",
                version: "v1",
                plural: "controllerrevisions",
                namespace,
                labelSelector: `${labels.app}=${name}`,
                limit: MAX_RECORDS,
              }),
          },
          signal,
        );
      } catch (error) {
        if (error instanceof CliError && error.code === "ClusterAuthFailed") return undefined;
        throw error;
      }
    },
  };
}

interface Refused {
  readonly server: string;
  readonly namespace: string;
  readonly name: string;
  readonly verb: Call["verb"];
}

function refusal(
  { server, namespace, name, verb }: Refused,
  status: number,
  body: unknown,
  cause: unknown,
): CliError {
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
    const what = verb === "patch" ? "to annotate" : "to return";
    return new CliError(
      "ClusterAuthFailed",
      `${server} refused ${what} the AIApp ${name} in ${namespace} (${status})`,
      `Log in again, or check your permission: kubectl auth can-i ${verb} aiapps.${GROUP} --namespace ${namespace}.`,
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

function invalidKubeconfig(why: string, cause?: unknown): CliError {
  return new CliError(
    "KubeconfigInvalid",
    `The kubeconfig cannot be used: ${why}`,
    "Set KUBECONFIG or --kubeconfig to a file that kubectl works with.",
    cause,
  );
}
