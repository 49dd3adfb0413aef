import { z } from "zod";

import { invalidRequest, quoted, type ServerError } from "../errors.ts";
import { createTensor, type Datatype, type Tensor, type Tensors } from "../tensor/tensor.ts";
import { isExact, parseJson } from "./json.ts";
import { checkParts } from "./json-parts.ts";
import { dataOf, MAX_RANK, tensorOfNested } from "./nested.ts";

/** What a request of `POST /score` wants scored: images, a tensor, or tensors by the names of the model's inputs. */
export type ScoreInput =
  | {
      readonly kind: "images";
      readonly images: readonly Uint8Array[];
      /** The names of a form's fields that have them. */
      readonly fields?: readonly string[];
    }
  | { readonly kind: "tensor"; readonly tensor: Tensor }
  | { readonly kind: "tensors"; readonly tensors: Tensors };

/** The model's inputs, as far as reading a request needs them. */
export interface ScorePorts {
  /** Of what comes without a name: text is an image, unless the model takes text. */
  readonly datatype: Datatype;
  readonly inputs: ReadonlyMap<string, ScorePort>;
}

interface ScorePort {
  readonly datatype: Datatype;
  readonly dims: readonly unknown[];
}

export const MAX_ROWS = 1024;
const MAX_TOP = 1000;
export const DEFAULT_TOP = 5;

/** The tutorial's form wraps the array in a string; a plain array is the same. */
export const ScoreBody = z.union([
  z
    .object({
      input: z.union([z.string(), z.array(z.unknown()), z.record(z.string(), z.unknown())]),
    })
    .transform(({ input }) => input),
  z.array(z.unknown()),
]);

export const ScoreQuery = z.object({
  top: z.coerce.number().int().min(1).max(MAX_TOP).default(DEFAULT_TOP),
  /** Of the answer: the tutorial's nested arrays, or objects whose fields have names. */
  format: z.enum(["tutorial", "plain"]).default("tutorial"),
});

const FORM = `send {"input": ["<base64 of an image>", …]}, {"input": [[1.5, 2.5, …], …]}, or an image as the body`;

/** Reads the query of `POST /score`. @throws REQUEST_INVALID */
export function readQuery(query: unknown): z.infer<typeof ScoreQuery> {
  const parsed = ScoreQuery.safeParse(query);
  if (parsed.success) return parsed.data;
  const isTop = parsed.error.issues.some(({ path }) => path[0] === "top");
  throw invalidRequest(
    isTop ? `top must be a number from 1 to ${MAX_TOP}` : "format must be tutorial or plain",
  );
}

/** Models of these take no images: text is text, or the digits of a large integer. */
const TAKES_TEXT: ReadonlySet<Datatype> = new Set(["BYTES", "INT64", "UINT64"]);

const ANY_NUMBERS: ScorePorts = { datatype: "FP32", inputs: new Map() };

/** Whether the JSON of a request is to be read with all digits of its numbers. */
export function needsExactNumbers({ datatype, inputs }: ScorePorts): boolean {
  return isExact({ datatype }) || inputs.values().some(isExact);
}

/** Reads the JSON body of `POST /score`. @throws REQUEST_INVALID saying what form is right */
export function readScoreInput(body: unknown, ports: ScorePorts = ANY_NUMBERS): ScoreInput {
  const parsed = ScoreBody.safeParse(body);
  if (!parsed.success) throw invalidRequest(`the body is not a valid request: ${FORM}`);
  const { data } = parsed;
  if (typeof data === "object" && !Array.isArray(data))
    return { kind: "tensors", tensors: readTensors(namedInputsOf(body) ?? data, ports) };
  if (ports.inputs.size > 1) throw severalInputs([...ports.inputs.keys()]);
  const rows = typeof data === "string" ? unwrap(data, ports) : data;
  if (rows.length === 0) throw invalidRequest(`the body has no rows: ${FORM}`);
  const [port] = ports.inputs.values();
  checkRows(rows.length, port);
  if (typeof rows[0] === "string" && !TAKES_TEXT.has(ports.datatype))
    return { kind: "images", images: rows.map(imageOf) };
  return { kind: "tensor", tensor: tensorOfNested(rows, ports.datatype, "input") };
}

/** As they were sent: zod leaves out a field of the name `__proto__`, which is to be refused as any other unknown input. */
function namedInputsOf(body: unknown): Readonly<Record<string, unknown>> | undefined {
  const hasInput = typeof body === "object" && body !== null && "input" in body;
  return hasInput && typeof body.input === "object" && body.input !== null
    ? { ...body.input }
    : undefined;
}

/** Why a request without names cannot be scored. */
export function severalInputs(names: readonly string[]): ServerError {
  const form = names.map((name) => `${JSON.stringify(name)}: [[…], …]`).join(", ");
  return invalidRequest(
    `the model has ${names.length} inputs: send them by name, {"input": {${form}}}`,
  );
}

/** As many as the model declares are no rows too many, and where it has no batch no rows at all. */
function checkRows(rows: number, port: ScorePort | undefined): void {
  if (rows > MAX_ROWS && rows !== port?.dims[0])
    throw invalidRequest(`${rows} rows at once are too many: send at most ${MAX_ROWS}`);
}

/** Tensors by the names of the model's inputs. Whether all of them are there is checked against the model later. */
function readTensors(values: Readonly<Record<string, unknown>>, { inputs }: ScorePorts): Tensors {
  const tensors = new Map<string, Tensor>();
  const entries = Object.entries(values);
  if (entries.length === 0) throw invalidRequest(`the body has no rows: ${FORM}`);
  for (const [name, value] of entries) {
    const port = inputs.get(name);
    if (port === undefined)
      throw invalidRequest(
        `the model has no input ${quoted(name)}: it takes ${[...inputs.keys()].join(", ")}`,
      );
    tensors.set(name, readTensor(value, port, `input.${name}`));
  }
  return tensors;
}

function readTensor(value: unknown, port: ScorePort, what: string): Tensor {
  const { datatype, dims } = port;
  if (dims.length === 0) return createTensor(datatype, [], dataOf([[value]], datatype, what));
  if (!Array.isArray(value)) throw invalidRequest(`${what} must be an array: one element a row`);
  if (value.length === 0) throw invalidRequest(`${what} has no rows: send at least one`);
  checkRows(value.length, port);
  return tensorOfNested(value, datatype, what);
}

function unwrap(text: string, ports: ScorePorts): readonly unknown[] {
  // The check of the body skips strings.
  checkParts(text, "input", MAX_RANK);
  const what = "input is a string that";
  let value: unknown;
  try {
    value = parseJson(text, what, { exact: needsExactNumbers(ports) });
  } catch (cause) {
    // Of another text, such as one image without a list around it, the form says more than the place.
    if (text.trimStart().startsWith("[")) throw cause;
    throw invalidRequest(`${what} is not JSON: ${FORM}`, { cause });
  }
  if (!Array.isArray(value)) throw invalidRequest(`input is a string that holds no array: ${FORM}`);
  return value;
}

/** Also in the alphabet for URLs. */
const BASE64 = /^[A-Za-z0-9+/_-]+={0,2}$/;

function imageOf(value: unknown, index: number): Uint8Array {
  if (typeof value !== "string")
    throw invalidRequest(`input[${index}] is no string: do not mix images and numbers`);
  const text = value.replace(/^data:[^,]{0,100},/i, "").replace(/\s/g, "");
  if (!BASE64.test(text)) throw invalidRequest(`input[${index}] is not base64 of an image`);
  return Buffer.from(text, "base64");
}

/** Of a row: classes with their percentages, or the values themselves. */
type Row = readonly (readonly [string, number])[] | readonly (number | string)[];

/** The answer in objects whose fields have names; probabilities from 0 to 1. */
export function plainAnswer(
  scores: readonly Row[],
  { name, version }: { readonly name: string; readonly version: string },
  ms: number,
): object {
  const predictions = scores.map((row) =>
    row.map((one) =>
      typeof one === "object"
        ? { label: one[0], probability: Number((one[1] / 100).toFixed(6)) }
        : one,
    ),
  );
  return { model: name, version, predictions, milliseconds: Number(ms.toFixed(1)) };
}

/** The answer in the tutorial's form. */
export function scoreAnswer(
  scores: unknown,
  ms: number,
): { readonly result: readonly [unknown, string] } {
  return { result: [scores, `Computed in ${ms.toFixed(ms < 10 ? 1 : 0)} ms`] };
}
