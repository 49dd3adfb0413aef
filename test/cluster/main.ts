import { parseArgs } from "node:util";

import {
  down,
  findCluster,
  leftovers,
  loopbackKubeconfig,
  runIn,
  up,
  type LocalCluster,
} from "./cluster.ts";
import { explain, preflight } from "./preflight.ts";
import { isAlive, recorded } from "./process.ts";

const USAGE = `usage: npm run cluster -- up [--nodes 2] | down | status | kubeconfig | exec -- COMMAND …

  up          bring a real Kubernetes up on this machine, in namespaces of its own (harmless when it is up)
  down        take it down; nothing of it is left
  status      what runs
  kubeconfig  print the path of a kubeconfig that works from here, over loopback
  exec        run a command inside the cluster's network, with kubectl and helm on its PATH
`;

async function theCluster(): Promise<LocalCluster> {
  const cluster = await findCluster();
  if (cluster === undefined) throw new Error("no cluster is running: npm run cluster -- up");
  return cluster;
}

async function exec(cluster: LocalCluster, command: readonly string[]): Promise<number> {
  const [first, ...rest] = command;
  if (first === undefined) throw new Error(USAGE);
  return runIn(cluster, [first, ...rest]);
}

async function status(): Promise<void> {
  const cluster = await findCluster();
  if (cluster === undefined) {
    const left = await leftovers();
    console.log(
      left.length === 0 ? "down" : `broken (up repairs it, down removes it): ${left.join(", ")}`,
    );
    process.exitCode = 1;
    return;
  }
  for (const one of await recorded(cluster.layout.processes)) {
    console.log(`${one.name.padEnd(26)} pid ${one.pid}${(await isAlive(one)) ? "" : " (ended)"}`);
  }
  await exec(cluster, ["kubectl", "get", "nodes", "--output", "wide"]);
}

async function run(): Promise<void> {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: { nodes: { type: "string", default: "1" } },
  });
  const [verb, ...rest] = positionals;
  switch (verb) {
    case "up": {
      const lacks = await preflight();
      if (lacks.length > 0) throw new Error(explain(lacks));
      const nodes = Number(values.nodes);
      if (nodes !== 1 && nodes !== 2) throw new Error("--nodes takes 1 or 2");
      await up({ nodes });
      return;
    }
    case "down":
      return down();
    case "status":
      return status();
    case "kubeconfig":
      console.log(await loopbackKubeconfig(await theCluster()));
      return;
    case "exec":
      process.exitCode = await exec(await theCluster(), rest);
      return;
    case undefined:
    default:
      console.error(USAGE);
      process.exitCode = 2;
  }
}

try {
  await run();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
