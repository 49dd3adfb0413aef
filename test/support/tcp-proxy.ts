import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";

/** A TCP proxy on loopback that injects network faults. */
export interface TcpProxy {
  readonly port: number;
  /** Open connections. */
  readonly connections: () => number;
  /** `swallow`: drops all bytes in both directions, and closes no connection; `refuse`: connections are reset. */
  readonly become: (mode: Mode) => void;
  /** Drops all bytes of the open connections; new connections work. */
  readonly stallOpen: () => void;
  readonly close: () => Promise<void>;
}
type Mode = "pass" | "swallow" | "refuse";

export async function startTcpProxy(target: number): Promise<TcpProxy> {
  let mode: Mode = "pass";
  const open = new Set<Socket>();
  const stalled = new WeakSet<Socket>();

  const server = createServer((near) => {
    if (mode === "refuse") {
      near.resetAndDestroy();
      return;
    }
    const far = connect(target, "127.0.0.1");
    open.add(near);
    const swallows = (): boolean => mode === "swallow" || stalled.has(near);
    const pipe = (from: Socket, to: Socket): void => {
      from.on("data", (chunk) => {
        if (!swallows()) to.write(chunk);
      });
      from.on("error", () => from.destroy());
      from.on("close", () => {
        open.delete(near);
        // A host that does not respond does not close connections either.
        if (from === near || !swallows()) to.destroy();
      });
    };
    pipe(near, far);
    pipe(far, near);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");

  return {
    port: (server.address() as AddressInfo).port,
    connections: () => open.size,
    become: (next) => {
      mode = next;
      if (mode === "refuse") for (const socket of open) socket.resetAndDestroy();
    },
    stallOpen: () => {
      for (const socket of open) stalled.add(socket);
    },
    close: async () => {
      for (const socket of open) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}
