import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import { setTimeout as delay } from "node:timers/promises";

/** A service in a process of its own, which ends with the test. */
export interface ServiceProcess {
  readonly port: number;
  readonly close: () => Promise<void>;
}

export async function freePort(host = "127.0.0.1"): Promise<number> {
  const server = createServer().listen(0, host);
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

const MAX_LOG = 20_000;

/** Starts a server and waits until it responds to HTTP. @throws with its output if it does not */
export async function startService(
  [command, ...args]: readonly [string, ...string[]],
  { host, port }: { readonly host: string; readonly port: number },
  environment: Readonly<Record<string, string>> = {},
): Promise<ServiceProcess> {
  const child = spawn(command, args, {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...environment },
  });
  let log = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (chunk: Buffer) => {
      log = (log + chunk.toString()).slice(-MAX_LOG);
    });
  // It must not outlive this process.
  const orphaned = (): void => void child.kill("SIGKILL");
  process.once("exit", orphaned);
  const close = async (): Promise<void> => {
    process.off("exit", orphaned);
    await end(child);
  };
  const failed = Promise.withResolvers<never>();
  failed.promise.catch(() => {});
  child.once("error", failed.reject);
  child.once("exit", (code) => failed.reject(new Error(`${command} ended with ${code}: ${log}`)));
  try {
    await Promise.race([answers(host, port), failed.promise]);
  } catch (error) {
    await close();
    throw new Error(`${command} did not start: ${log}`, { cause: error });
  }
  return { port, close };
}

async function answers(host: string, port: number): Promise<void> {
  const deadline = Date.now() + 60_000;
  for (;;) {
    try {
      await fetch(`http://${host}:${port}/`, { signal: AbortSignal.timeout(5000) });
      return;
    } catch (error) {
      if (Date.now() > deadline) throw error;
    }
    await delay(50);
  }
}

/** Signals a child and waits for its exit; kills it after `insistAfterMs`. */
export async function end(
  child: ChildProcess | undefined,
  signal: NodeJS.Signals = "SIGTERM",
  insistAfterMs = 3000,
): Promise<void> {
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  child.kill(signal);
  const insist = setTimeout(() => child.kill("SIGKILL"), insistAfterMs);
  await exited;
  clearTimeout(insist);
}
