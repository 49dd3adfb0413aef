import { MANAGER } from "../../crds/names.ts";
import type { Kube } from "../kube/client.ts";
import type { Poller } from "../sources/poller.ts";
import type { Action } from "./action.ts";

/** Carries out a plan's actions in their order. The process may end after any of them: the next plan goes on. */
export async function execute(
  actions: readonly Action[],
  { kube, poller }: { readonly kube: Kube; readonly poller: Poller },
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
      case "delete": {
        const { resource, object } = action;
        const { namespace = "", name = "" } = object.metadata ?? {};
        const uid =
          object.metadata?.uid ??
          (await kube.get(resource, namespace, name, signal))?.metadata?.uid;
        if (uid !== undefined) await kube.delete(resource, { namespace, name, uid }, signal);
        break;
      }
    }
  }
}
