import type { Annotations, KubeTarget } from "../kube.ts";
import { shellWord } from "../shell.ts";

/** The command with which kubectl sets the same annotations. */
export function kubectlCommand(
  name: string,
  namespace: string,
  values: Annotations,
  { context, kubeconfig }: KubeTarget,
): string {
  const words = [
    "kubectl",
    "annotate",
    "aiapp",
    name,
    "--namespace",
    namespace,
    ...(context === undefined ? [] : ["--context", context]),
    ...(kubeconfig === undefined ? [] : ["--kubeconfig", kubeconfig]),
    ...Object.entries(values).map(([key, value]) =>
      value === null ? `${key}-` : `${key}=${value}`,
    ),
    ...(Object.values(values).some((value) => value !== null) ? ["--overwrite"] : []),
  ];
  return words.map(shellWord).join(" ");
}
