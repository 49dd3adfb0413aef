import { fileURLToPath } from "node:url";

import { z } from "zod";

/** What of a V8 CPU profile is needed to sum up times. */
const Profile = z.object({
  startTime: z.number(),
  endTime: z.number(),
  nodes: z.array(
    z.object({
      id: z.number(),
      callFrame: z.object({ functionName: z.string(), url: z.string(), lineNumber: z.number() }),
      children: z.array(z.number()).optional(),
    }),
  ),
  samples: z.array(z.number()),
  timeDeltas: z.array(z.number()),
});

const Reply = z.object({ id: z.number(), result: z.unknown() });
const Targets = z.array(z.object({ webSocketDebuggerUrl: z.string() }));

/** CPU time of one function. */
export interface Spent {
  readonly name: string;
  /** In itself, and in it with all that it calls, in milliseconds. */
  readonly self: number;
  readonly total: number;
}

/** Profiles a process that was started with `--inspect`, while `work` runs. */
export async function profiled(port: number, work: () => Promise<void>): Promise<readonly Spent[]> {
  const response = await fetch(`http://127.0.0.1:${port}/json/list`);
  const [target] = Targets.parse(await response.json());
  const socket = new WebSocket(target?.webSocketDebuggerUrl ?? "");
  await new Promise((resolve, reject) => {
    socket.addEventListener("open", resolve, { once: true });
    socket.addEventListener("error", reject, { once: true });
  });
  let next = 0;
  const call = async (method: string): Promise<unknown> => {
    const id = (next += 1);
    const replied = new Promise<unknown>((resolve) => {
      socket.addEventListener("message", ({ data }) => {
        const reply = Reply.safeParse(JSON.parse(String(data)));
        if (reply.data?.id === id) resolve(reply.data.result);
      });
    });
    socket.send(JSON.stringify({ id, method }));
    return replied;
  };
  try {
    await call("Profiler.enable");
    await call("Profiler.start");
    await work();
    const stopped = z.object({ profile: Profile }).parse(await call("Profiler.stop"));
    return spentIn(stopped.profile);
  } finally {
    socket.close();
  }
}

/** By function; time in a function that calls itself counts once. */
function spentIn({ nodes, samples, timeDeltas }: z.infer<typeof Profile>): readonly Spent[] {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const parents = new Map<number, number>();
  for (const { id, children = [] } of nodes) for (const child of children) parents.set(child, id);
  const spent = new Map<string, { name: string; self: number; total: number }>();
  for (const [index, sample] of samples.entries()) {
    const milliseconds = (timeDeltas[index] ?? 0) / 1000;
    const seen = new Set<string>();
    for (let id: number | undefined = sample; id !== undefined; id = parents.get(id)) {
      const name = nameOf(byId.get(id)?.callFrame);
      if (seen.has(name)) continue;
      const one = spent.get(name) ?? { name, self: 0, total: 0 };
      if (seen.size === 0) one.self += milliseconds;
      one.total += milliseconds;
      spent.set(name, one);
      seen.add(name);
    }
  }
  return [...spent.values()];
}

interface CallFrame {
  readonly functionName: string;
  readonly url: string;
  readonly lineNumber: number;
}

function nameOf(frame: CallFrame | undefined): string {
  if (frame === undefined) return "";
  const { functionName, url, lineNumber } = frame;
  const path = url.startsWith("file:") ? fileURLToPath(url) : url;
  const where = path.split("/").slice(-3).join("/");
  return `${functionName === "" ? "(anonymous)" : functionName} ${where}:${lineNumber + 1}`;
}
