import { once } from "node:events";
import { request as httpRequest, type IncomingHttpHeaders, type IncomingMessage } from "node:http";
import { buffer } from "node:stream/consumers";

/** A request of the Open Inference Protocol, and what a server answered, in a form that two servers' answers are compared in. */

export interface ProtocolRequest {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array<ArrayBuffer>;
  /** The fields of the answer that are compared; those of an inference are its outputs, and its id where one was sent. */
  readonly fields?: readonly string[];
}

export interface AnsweredTensor {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly number[];
  readonly data: readonly unknown[];
  /** Its values came as raw bytes. */
  readonly raw?: true;
}

export interface Answer {
  readonly status: number;
  /** The fields that the request names. */
  readonly body?: unknown;
  readonly outputs?: readonly AnsweredTensor[];
  readonly id?: string;
  /** Where the body of a 200 cannot be read as the protocol says. */
  readonly broken?: string;
  /** Of other statuses: whether the body is `{"error": string}`. */
  readonly hasError?: boolean;
}

interface Fields {
  readonly [name: string]: unknown;
}

const TIMEOUT_MS = 20_000;

/** @param url of the server, without a slash at its end */
export async function send(url: string, request: ProtocolRequest): Promise<Answer> {
  const { status, headers, bytes } = await exchange(url, request);
  const length = Number(headers["inference-header-content-length"] ?? bytes.length);
  const parsed = parse(bytes.subarray(0, length));
  if (status !== 200) return { status, hasError: typeof fieldsOf(parsed)["error"] === "string" };
  const { fields } = request;
  if (fields?.length === 0) return { status };
  if (parsed === undefined) return { status, broken: "the body is not JSON" };
  if (fields !== undefined) return { status, body: pick(parsed, fields) };
  try {
    const inference = readInference(fieldsOf(parsed), bytes.subarray(length), hasId(request.body));
    return { status, ...inference };
  } catch (error) {
    return { status, broken: error instanceof Error ? error.message : String(error) };
  }
}

interface Exchanged {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly bytes: Buffer;
}

/** On a connection of its own: some servers close theirs after an error. */
async function exchange(
  url: string,
  { method, path, headers = {}, body }: ProtocolRequest,
): Promise<Exchanged> {
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  const length = body === undefined ? {} : { "content-length": body.length };
  const sent = httpRequest(url + path, {
    method,
    headers: { ...headers, ...length },
    agent: false,
    signal,
  });
  sent.end(body);
  const [response] = (await once(sent, "response", { signal })) as [IncomingMessage];
  const bytes = await buffer(response);
  return { status: response.statusCode ?? 0, headers: response.headers, bytes };
}

/** Integers that a double cannot hold keep their digits, as `{ digits }`. */
function parse(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString(), keepDigits);
  } catch {
    return undefined;
  }
}

function keepDigits(_: string, value: unknown, context?: { readonly source?: string }): unknown {
  const digits = context?.source;
  const isLong = typeof value === "number" && digits !== undefined && /^-?\d{16,}$/.test(digits);
  return isLong && !Number.isSafeInteger(value) ? { digits } : value;
}

function fieldsOf(value: unknown): Fields {
  return typeof value === "object" && value !== null ? (value as Fields) : {};
}

function pick(value: unknown, names: readonly string[]): unknown {
  if (Array.isArray(value)) return value.map((one) => pick(one, names));
  const fields = fieldsOf(value);
  return Object.fromEntries(names.map((name) => [name, fields[name] ?? null]));
}

function hasId(body: Uint8Array | undefined): boolean {
  return body !== undefined && Buffer.from(body).includes('"id":');
}

function readInference(
  answer: Fields,
  raw: Buffer,
  withId: boolean,
): Pick<Answer, "outputs" | "id"> {
  const { outputs, id } = answer;
  if (!Array.isArray(outputs)) throw new TypeError("there are no outputs");
  const rest = { raw, at: 0 };
  const tensors = outputs.map((output: unknown) => readTensor(fieldsOf(output), rest));
  if (rest.at !== raw.length) throw new TypeError("bytes are left over");
  return { outputs: tensors, ...(withId ? { id: String(id) } : {}) };
}

function readTensor(
  { name, datatype, shape, data, parameters }: Fields,
  rest: { readonly raw: Buffer; at: number },
): AnsweredTensor {
  if (typeof name !== "string" || typeof datatype !== "string" || !Array.isArray(shape))
    throw new TypeError("an output lacks its name, datatype or shape");
  const head = { name, datatype, shape: shape.map(Number) };
  const size = fieldsOf(parameters)["binary_data_size"];
  if (Array.isArray(data)) return { ...head, data: (data as unknown[]).flat(Infinity) };
  if (typeof size !== "number") throw new TypeError("an output has no values");
  const bytes = rest.raw.subarray(rest.at, rest.at + size);
  if (bytes.length !== size) throw new TypeError("an output has fewer bytes than it says");
  rest.at += size;
  return { ...head, data: [bytes.toString("hex")], raw: true };
}
