import { basename } from "node:path";

import { ServerError } from "../errors.ts";
import type { SessionOptions } from "./messages.ts";

/** A file of the runtime's sources with its line, which it puts into its messages; some come without their path. */
const PATH = String.raw`(?:[A-Za-z]:)?[\w.+~-]*[\\/][\w.+~\\/-]*\.(?:cc|cpp|h|hpp|cu|cuh)`;
const FILE = String.raw`[\w.+~-]+\.(?:cc|cpp|h|hpp|cu|cuh)`;
const LINE = String.raw`:\d+\b`;
/** The function that failed follows: with its types, or its bare name. */
const FUNCTION = String.raw`onnxruntime::[^ ]+\((?:[^()]|\([^()]*\))*\)(?: const)?(?: \[with [^\]]*\])?`;
const TYPED = String.raw`[\w:<>*&, ]*${FUNCTION}`;
const BARE = String.raw`operator\(\)|~?\w+`;
const SOURCE_PLACE = RegExp(`(?:${PATH}|${FILE})${LINE}(?:\\s+(?:${TYPED}|${BARE}))?\\s*`, "g");
const SOURCE_PATH = RegExp(String.raw`${PATH}\s*`, "g");
const SOURCE_FUNCTION = RegExp(String.raw`(?:onnxruntime::[^ ]+ )*${FUNCTION}\s*`, "g");
const LOAD_PREFIX = /^Load model from .*? failed:\s*/;
const OUT_OF_MEMORY = /bad_alloc|failed to allocate|available memory of|out of memory/i;
const MAX_LENGTH = 500;
/** Text that a client sent may be in a message: the patterns above take time by the square of a word's length. */
const MAX_READ = 4000;

/** The runtime's words, without places of its sources and files. */
function clean(message: string): string {
  return message
    .slice(0, MAX_READ)
    .replaceAll(/\s+/g, " ")
    .replace(LOAD_PREFIX, "")
    .replaceAll(SOURCE_PLACE, "")
    .replaceAll(SOURCE_PATH, "")
    .replaceAll(SOURCE_FUNCTION, "")
    .trim()
    .slice(0, MAX_LENGTH);
}

const REJECTION = "the model rejects this input: ";

/** What the runtime said of a run, as an error of the server. */
export function errorOfRun(message: string): ServerError {
  if (OUT_OF_MEMORY.test(message))
    return new ServerError(
      "OUT_OF_MEMORY",
      "the model ran out of memory: send fewer rows at once, or raise the memory limit",
    );
  return new ServerError("REQUEST_INVALID", `${REJECTION}${clean(message)}`);
}

/** The runtime's words in an error of a run. */
export function reasonOfRejection({ message }: ServerError): string {
  return message.startsWith(REJECTION) ? message.slice(REJECTION.length) : message;
}

const IR_VERSION = /IR version: (\d+), max supported IR version: (\d+)/;
const OPSET = /Opset (\d+) is under development.*for domain (\S+) is till opset (\d+)/s;
const NO_OPERATOR =
  /fatal error: (\S*?):(\S+?)\(-?\d+\) is not a registered|No Op registered for (\S+) with domain_version of (\d+)/i;
const NO_PROVIDER = /AppendExecutionProvider|backend not found|providers_shared/;

/** Why the runtime does not load the model, and what to do. */
export function errorOfLoad(
  message: string,
  { provider, modelFile }: Pick<SessionOptions, "provider" | "modelFile">,
): ServerError {
  return NO_PROVIDER.test(message)
    ? new ServerError(
        "CONFIG_INVALID",
        `EXECUTION_PROVIDER is ${provider}, but this image or machine has no library for it: use an image with ${provider}, or set EXECUTION_PROVIDER=cpu`,
      )
    : new ServerError(
        "MODEL_LOAD_FAILED",
        `the runtime rejects ${basename(modelFile)}: ${reasonOf(message)}`,
      );
}

function reasonOf(message: string): string {
  const ir = IR_VERSION.exec(message);
  if (ir !== null)
    return `it has IR version ${ir[1]}, the runtime knows those up to ${ir[2]}: export it with ir_version=${ir[2]}`;
  const opset = OPSET.exec(message);
  if (opset !== null)
    return `it has opset ${opset[1]} of ${opset[2]}, the runtime knows those up to ${opset[3]}: export it with opset ${opset[3]}`;
  const operator = NO_OPERATOR.exec(message);
  if (operator !== null) {
    const name = operator[3] ?? operator[2];
    const where = operator[3] === undefined ? operator[1] : `opset ${operator[4]}`;
    return `the runtime knows no operator ${name} of ${where}: export the model with standard operators`;
  }
  if (OUT_OF_MEMORY.test(message))
    return "there is not enough memory to load it: raise the memory limit, or lower WORKERS";
  return clean(message);
}
