import { join } from "node:path";

import { execa } from "execa";

import { pythonWith } from "../support/python.ts";
import { TRITONCLIENT } from "../support/tritonclient.ts";
import { Calls } from "./record.ts";

/** Makes the calls of tritonclient on a server that has the model `add`. */
export async function callAll(http: string, grpc: string): Promise<Calls> {
  const python = await pythonWith(TRITONCLIENT);
  const program = join(import.meta.dirname, "client.py");
  const { stdout } = await execa(python, [program, http, grpc], {
    // Nothing between the client and the server.
    env: { no_proxy: "*", NO_PROXY: "*", PYTHONDONTWRITEBYTECODE: "1" },
  });
  return Calls.parse(JSON.parse(stdout));
}
