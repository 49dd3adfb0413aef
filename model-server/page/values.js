/** @import { Field, Model, Port, Values } from "./types.d.ts" */

/** The values of a model's inputs: from a sample, from fields, and as a request. Pure. */

/** More fields than a form has in sight. */
const MAX_FIELDS = 32;
/** More elements than a text area shows well. */
const MAX_ELEMENTS = 4096;

/** @param {readonly number[]} shape the row, its first dimension left out */
function elementsOf(shape) {
  return shape.reduce((product, size) => product * (size === -1 ? 1 : size), 1);
}

/** @param {Port} port */
function rowShape({ shape }) {
  return shape.slice(1);
}

/**
 * The inputs of a sample's request, by name.
 * @param {Model} model
 * @returns {Values | undefined} undefined where there is none, or it has images
 */
export function sampleValues({ sample, inputs, image }) {
  const wrapped = Array.isArray(sample) ? sample : Object(sample).input;
  const given = typeof wrapped === "string" ? parse(wrapped) : wrapped;
  if (typeof given !== "object" || given === null) return undefined;
  if (!Array.isArray(given)) return given;
  const [input] = inputs;
  if (input === undefined || (image !== undefined && typeof given[0] === "string"))
    return undefined;
  return { [input.name]: given };
}

/**
 * The first image of a sample's request: base64, or a `data:` URL.
 * @param {Model} model
 * @returns {string | undefined}
 */
export function samplePicture({ sample, image }) {
  const wrapped = Array.isArray(sample) ? sample : Object(sample).input;
  const given = typeof wrapped === "string" ? parse(wrapped) : wrapped;
  const [first] = Array.isArray(given) ? given : [];
  return image !== undefined && typeof first === "string" ? first : undefined;
}

/**
 * @param {string} text
 * @returns {unknown}
 */
function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/**
 * Of one row, where the sample has none: zeros, or empty text.
 * @param {Model} model
 * @returns {Values}
 */
export function initialValues(model) {
  const sample = sampleValues(model);
  if (sample !== undefined) return sample;
  return Object.fromEntries(
    model.inputs.map(({ name, datatype, shape }) => {
      const zero = datatype === "BYTES" ? "" : datatype === "BOOL" ? false : 0;
      const sizes = shape.map((size) => (size === -1 ? 1 : size));
      return [name, elementsOf(sizes) > MAX_ELEMENTS ? [] : filled(sizes, zero)];
    }),
  );
}

/**
 * @param {readonly number[]} sizes
 * @param {unknown} value
 * @returns {unknown}
 */
function filled([size, ...rest], value) {
  if (size === undefined) return value;
  return Array.from({ length: size }, () => filled(rest, value));
}

/**
 * The fields of one row.
 * @param {readonly Port[]} inputs
 * @param {Values} values
 * @returns {readonly Field[] | undefined} undefined where there are too many, or their number is not known
 */
export function fieldsOf(inputs, values) {
  const isOneRow = inputs.every(({ shape }) => shape[0] === undefined || Math.abs(shape[0]) === 1);
  const isKnown = inputs.every((port) => !rowShape(port).includes(-1));
  const count = inputs.reduce((sum, port) => sum + elementsOf(rowShape(port)), 0);
  if (!isOneRow || !isKnown || count > MAX_FIELDS || count === 0) return undefined;
  return inputs.flatMap((port) => {
    const { name, datatype, shape } = port;
    const value = values[name];
    const row = shape.length > 0 && Array.isArray(value) ? value[0] : value;
    const elements = Array.isArray(row) ? row.flat(Infinity) : [row];
    return Array.from({ length: elementsOf(rowShape(port)) }, (_, index) => ({
      label: elementsOf(rowShape(port)) === 1 ? name : `${name}[${index}]`,
      input: name,
      datatype,
      initial: elements[index] ?? (datatype === "BYTES" ? "" : 0),
    }));
  });
}

/**
 * @param {string} text of a field
 * @param {string} datatype
 * @returns {unknown} what JSON sends; undefined where the text is no value of the datatype
 */
export function readField(text, datatype) {
  if (datatype === "BYTES") return text;
  const trimmed = text.trim();
  if (datatype === "BOOL") return /^(true|1)$/i.test(trimmed);
  if (datatype.startsWith("FP")) {
    if (/^(NaN|-?Infinity)$/.test(trimmed)) return trimmed;
    const value = trimmed === "" ? Number.NaN : Number(trimmed);
    return Number.isFinite(value) ? value : undefined;
  }
  if (!/^-?\d+$/.test(trimmed)) return undefined;
  const value = Number(trimmed);
  // Text keeps the digits that a number has not.
  return Number.isSafeInteger(value) ? value : trimmed;
}

/**
 * One row of values, from what the fields hold.
 * @param {readonly Port[]} inputs
 * @param {readonly unknown[]} elements in the order of `fieldsOf`
 * @returns {Values}
 */
export function valuesOf(inputs, elements) {
  let at = 0;
  return Object.fromEntries(
    inputs.map((port) => {
      const count = elementsOf(rowShape(port));
      const own = elements.slice(at, at + count);
      at += count;
      const row = nested(own, rowShape(port));
      return [port.name, port.shape.length === 0 ? row : [row]];
    }),
  );
}

/**
 * @param {readonly unknown[]} flat
 * @param {readonly number[]} shape
 * @returns {unknown}
 */
function nested(flat, [size, ...rest]) {
  if (size === undefined) return flat[0];
  const step = flat.length / size;
  return Array.from({ length: size }, (_, index) =>
    nested(flat.slice(index * step, (index + 1) * step), rest),
  );
}

/**
 * @param {unknown} value
 * @returns {readonly number[]}
 */
export function shapeOf(value) {
  return Array.isArray(value) ? [value.length, ...(value.length > 0 ? shapeOf(value[0]) : [])] : [];
}

/**
 * The body of POST /score.
 * @param {readonly Port[]} inputs
 * @param {Values} values
 */
export function scoreBody(inputs, values) {
  const [only, ...others] = inputs;
  const hasRows = only !== undefined && others.length === 0 && only.shape.length > 0;
  return { input: hasRows ? values[only.name] : values };
}

/**
 * The body of POST /v2/models/<name>/infer.
 * @param {readonly Port[]} inputs
 * @param {Values} values
 */
export function inferBody(inputs, values) {
  return {
    inputs: inputs
      .filter(({ name }) => name in values)
      .map(({ name, datatype }) => {
        const value = values[name];
        const data = Array.isArray(value) ? value : [value];
        return { name, datatype, shape: shapeOf(value), data };
      }),
  };
}

/** @param {readonly Port[]} inputs */
export function describeInputs(inputs) {
  return inputs
    .map(({ name, datatype, shape }) => {
      const sizes = shape.map((size) => (size === -1 ? "any" : String(size)));
      return `${name}: ${datatype} [${sizes.join(", ")}]`;
    })
    .join("; ");
}
