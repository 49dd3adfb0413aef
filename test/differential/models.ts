import { ADD, identity } from "../../model-server/infer.testing.ts";
import type { BundleFiles } from "../../model-server/serve.testing.ts";

/** The other servers of the protocol, by their packages' names. */
export const peerNames = ["mlserver", "kserve"] as const;
export type PeerName = (typeof peerNames)[number];

/** Each is version 1. `add` has two inputs and two outputs; the others give their input `x` back as `y`. */
export const models: Readonly<Record<string, BundleFiles>> = {
  add: { "model.onnx": ADD },
  double: identity("double"),
  half: identity("half"),
  int64: identity("int64"),
  uint8: identity("uint8"),
  bool: identity("bool"),
  text: identity("string"),
};
