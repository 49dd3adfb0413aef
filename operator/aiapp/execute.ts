import { MANAGER } from "../../crds/names.ts";
import type { Kube } from "../kube/client.ts";
import type { Poller } from "../sources/poller.ts";
import type { Action } from "./action.ts";

/** Carries out a plan's actions in their order. The process may end after any of them: the next plan continues. */
export async function execute(
  actions: readonly Action[],
  { kube, poller }: { readonly kube: Kube; readonly poller: Pick<Poller, "pollSince"> },
  signal: AbortSignal,
): Promise<void> {
  for (const action of actions) {
    switch (action.kind) {
      case "poll":
        poller.pollSince(action.key, action.since, action.urgent);
        break;
      case "apply": {
        const { resource, object, uid, manager = MANAGER } = action;
        // With a uid the API server refuses to touch another object that has taken the name.
        const metadata = { ...object.metadata, ...(uid !== undefined && { uid }) };
        await kube.apply(
          resource,
          { ...object, metadata },
          { fieldManager: manager, force: true },
          signal,
        );
        break;
      }
      case "create":
        await kube.create(action.resource, action.object, signal);
        break;
      case "patch": {
        const { resource, object, patch } = action;
        const { namespace, name = "" } = object.metadata ?? {};
        await kube.patch(resource, namespace, name, patch, { fieldManager: MANAGER }, signal);
        break;
      }
      case "delete": {
        const { resource, object } = action;
        const { namespace, name = "", uid = "", resourceVersion } = object.metadata ?? {};
        const precondition = resourceVersion === undefined ? {} : { resourceVersion };
        await kube.delete(resource, { namespace, name, uid, ...precondition }, signal);
        break;
      }
    }
  }
}
