/** What every answer to a malformed request must hold to. */

export interface FuzzAnswer {
  readonly status: number;
  readonly text: string;
}

const PATH =
  /(?<=^|[\s"'(])\/(?:tmp|app|home|root|work|usr|opt|var|models)\b|node_modules|\.ts\b|\bat \w+ \(|\w\.(?:cc|cpp|cu|hh?|hpp):\d+|onnxruntime::|\boperator\(\)/;
const MAX_MESSAGE = 1000;

/** The path of a file, or the place in the code, that a message names. */
export function leakOf(message: string): string | undefined {
  return PATH.exec(message)?.[0];
}

/** What is wrong with an answer: undefined where nothing is. */
export function faultOf({ status, text }: FuzzAnswer, sent = ""): string | undefined {
  if (status >= 200 && status < 300) return undefined;
  if (status < 400 || status >= 500) return `the status is ${status}`;
  let error: unknown;
  try {
    error = (JSON.parse(text) as { readonly error?: unknown }).error;
  } catch {
    return "the body is not JSON";
  }
  if (typeof error !== "string" || error.length < 10) return "the body has no error that says why";
  if (error.length > MAX_MESSAGE) return `the message has ${error.length} characters`;
  const leak = leakOf(error);
  return leak !== undefined && !sent.includes(leak) ? `the message has ${leak}` : undefined;
}
