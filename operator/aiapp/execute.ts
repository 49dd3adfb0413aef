import { MANAGER } from "../../crds/names.ts";
import { isOperatorError, messageOf, OperatorError } from "../errors.ts";
import type { Kube } from "../kube/client.ts";
import { kinds, type KubernetesObject } from "../kube/types.ts";
import type { Poller } from "../sources/poller.ts";
import type { Action } from "./action.ts";

export interface ExecuteTools {
  readonly kube: Kube;
  /** Writes what an app owns as its tenant; the operator itself does when not given. */
  readonly tenant?: ((namespace: string) => Kube) | undefined;
  readonly poller: Pick<Poller, "pollSince">;
  /** Called after each write, with what the API server returned; a delete returns nothing. */
  readonly onWritten?: (action: WriteAction, result: KubernetesObject | undefined) => void;
  /** Called with the write that failed. Whether it took effect is not known. */
  readonly onFailed?: (action: WriteAction) => void;
}

export type WriteAction = Exclude<Action, { readonly kind: "poll" }>;

/** Carries out a plan's actions in their order. The process may end after any of them: the next plan continues. */
export async function execute(
  actions: readonly Action[],
  { kube, tenant, poller, onWritten, onFailed }: ExecuteTools,
  signal: AbortSignal,
): Promise<void> {
  for (const action of actions) {
    if (action.kind === "poll") {
      poller.pollSince(action.key, action.since, action.urgent);
      continue;
    }
    let result: KubernetesObject | undefined;
    try {
      result = await write(action, writerOf(action, kube, tenant), signal);
    } catch (error) {
      onFailed?.(action);
      throw error;
    }
    onWritten?.(action, result);
  }
}

/** Records of releases are the operator's memory: no tenant needs the right to write them. */
function writerOf(
  { resource, object }: WriteAction,
  kube: Kube,
  tenant: ExecuteTools["tenant"],
): Kube {
  const isRecord = resource.plural === kinds.controllerRevision.plural;
  return isRecord || tenant === undefined ? kube : tenant(object.metadata?.namespace ?? "");
}

async function write(
  action: WriteAction,
  kube: Kube,
  signal: AbortSignal,
): Promise<KubernetesObject | undefined> {
  switch (action.kind) {
    case "apply": {
      const { resource, object, uid, resourceVersion, manager = MANAGER } = action;
      // With a uid the API server refuses to touch another object that has taken the name.
      const metadata = {
        ...object.metadata,
        ...(uid !== undefined && { uid }),
        ...(resourceVersion !== undefined && { resourceVersion }),
      };
      const options = { fieldManager: manager, force: true };
      return kube.apply(resource, { ...object, metadata }, options, signal);
    }
    case "create":
      return kube.create(action.resource, action.object, signal);
    case "patch": {
      const { resource, object, patch } = action;
      const { namespace, name = "" } = object.metadata ?? {};
      try {
        return await kube.patch(
          resource,
          namespace,
          name,
          patch,
          { fieldManager: MANAGER },
          signal,
        );
      } catch (error) {
        if (!isOperatorError(error, "KUBE_NOT_FOUND")) throw error;
        // As with any other version than the one that the decision rests on.
        throw new OperatorError("KUBE_CONFLICT", `${messageOf(error)}: it was deleted meanwhile`, {
          cause: error,
        });
      }
    }
    case "delete": {
      const { resource, object } = action;
      const { namespace, name = "", uid = "", resourceVersion } = object.metadata ?? {};
      const precondition = resourceVersion === undefined ? {} : { resourceVersion };
      await kube.delete(resource, { namespace, name, uid, ...precondition }, signal);
      return undefined;
    }
  }
}
