/** Namespaces that demo, tests and benchmarks create in a cluster. A label marks them, so that they touch no other. */

export type Kubectl = (args: readonly string[], input?: string) => Promise<string>;

const LABEL = "aiapp.dev/trial";
/** Where the operator is installed. */
export const SYSTEM = "aiapp-system";

/** The operator's pod that leads; empty while none does. */
export function leaderOf(kubectl: Kubectl): Promise<string> {
  // prettier-ignore
  return kubectl(["get", "lease", "aiapp-operator", "--namespace", SYSTEM, "--output", "jsonpath={.spec.holderIdentity}"]);
}

/** The labelled namespaces among `names`, or all labelled ones. */
async function present(kubectl: Kubectl, names?: readonly string[]): Promise<readonly string[]> {
  const text = await kubectl(["get", "namespaces", "--selector", LABEL, "--output", "name"]);
  const found = text.split("\n").map((line) => line.replace(/^namespace\//, ""));
  return found.filter((name) => name !== "" && (names?.includes(name) ?? true));
}

/** @throws when a namespace of that name exists without the label */
export async function ensureNamespace(kubectl: Kubectl, name: string): Promise<void> {
  if ((await present(kubectl, [name])).length > 0) return;
  const metadata = { name, labels: { [LABEL]: "true" } };
  // `apply` would take over an existing namespace.
  await kubectl(
    ["create", "--filename", "-"],
    JSON.stringify({ apiVersion: "v1", kind: "Namespace", metadata }),
  ).catch((cause: unknown) => {
    throw new Error(
      `cannot create the namespace ${name}; if it exists without the label ${LABEL}, use another cluster`,
      { cause },
    );
  });
}

/** Deletes the labelled namespaces among `names`, or all labelled ones, with their objects. */
export async function removeNamespaces(
  kubectl: Kubectl,
  names?: readonly string[],
  waiting: "--timeout=300s" | "--wait=false" = "--timeout=300s",
): Promise<void> {
  const ours = await present(kubectl, names);
  if (ours.length > 0)
    await kubectl(["delete", "namespace", ...ours, "--ignore-not-found", waiting]);
}

/** Whether a cluster has an operator that the tests did not install, and would replace. */
export async function hasForeignOperator(kubectl: Kubectl, crd: string): Promise<boolean> {
  if ((await present(kubectl, [SYSTEM])).length > 0) return false;
  const get = ["get", "--ignore-not-found", "--output", "name"];
  return (
    (await kubectl([...get, "crd", crd])) !== "" ||
    (await kubectl([...get, "namespace", SYSTEM])) !== ""
  );
}
