import type { ServerProcess } from "../../bench/server/process.ts";

/** Another server, as a process of its own. */
export interface Peer extends ServerProcess {
  /** Host and port of its gRPC. */
  readonly grpc: string;
}

export interface PeerOptions {
  /** Files by the names of their models. */
  readonly models: Readonly<Record<string, string>>;
  /** Processes that run models. */
  readonly workers: number;
  /** How many rows may share a run, and how long the first one waits for others; unless given none do. */
  readonly batch?: { readonly rows: number; readonly seconds: number };
}
