import { OperatorError } from "../../errors.ts";
import {
  isList,
  isObject,
  objectAt,
  textAt,
  type Json,
  type JsonObject,
  type JsonPart,
} from "./json.testing.ts";
import { customSchema, type MapType, type Type } from "./schema.testing.ts";

const NAME = /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/;
const SERVICE_NAME = /^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$/;

function refuse(path: string, why: string): never {
  throw new OperatorError("KUBE_INVALID", `${path}: ${why}`);
}

export function validateName(kind: string, name: string): void {
  const shape = kind === "Service" ? SERVICE_NAME : NAME;
  if (!shape.test(name) || name.length > 253)
    refuse("metadata.name", `Invalid value: ${JSON.stringify(name)}`);
}

/** Required fields of built-in kinds. Numbers are zero when they are missing. */
export function validateRequired(type: Type, value: Json, path = ""): void {
  if (typeof value !== "object" || value === null || complete.get(value) === type) return;
  validateMembers(type, value, path);
  complete.set(value, type);
}

const complete = new WeakMap<JsonPart, Type>();

function validateMembers(type: Type, value: Json, path: string): void {
  if (type.kind === "list" && isList(value)) {
    for (const [index, item] of value.entries())
      validateRequired(type.items, item, `${path}[${index}]`);
  }
  if (type.kind !== "map" || !isObject(value)) return;
  for (const name of missing(type, value)) refuse(`${path}.${name}`.slice(1), "Required value");
  for (const [name, member] of Object.entries(value)) {
    const child = type.fields.get(name)?.type ?? type.values;
    if (child !== undefined) validateRequired(child, member, `${path}.${name}`);
  }
}

function missing({ required, fields }: MapType, value: JsonObject): readonly string[] {
  return required.filter((name) => {
    const type = fields.get(name)?.type;
    const isNumber = type?.kind === "scalar" && type.of === "number";
    return value[name] === undefined && !isNumber;
  });
}

/** What the schema of the AIApp says of its values. Its CEL rules are the API server's alone. */
export function validateAIApp(value: JsonObject): void {
  validateNode(customSchema(), value, "");
}

const valid = new WeakMap<JsonPart, JsonObject>();

function validateNode(node: JsonObject, value: Json, path: string): void {
  if (typeof value === "object" && value !== null && valid.get(value) === node) return;
  validateValue(node, value, path);
  if (typeof value === "object" && value !== null) valid.set(value, node);
}

function validateValue(node: JsonObject, value: Json, path: string): void {
  const at = path.slice(1);
  if (value === null) refuse(at, "must not be null");
  if (typeof value === "string") validateText(node, value, at);
  if (typeof value === "number") {
    const { minimum, maximum } = node;
    if (typeof minimum === "number" && value < minimum)
      refuse(at, `should be greater than or equal to ${minimum}`);
    if (typeof maximum === "number" && value > maximum)
      refuse(at, `should be less than or equal to ${maximum}`);
  }
  const { enum: allowed, required, items, maxItems } = node;
  if (isList(allowed) && !allowed.includes(value)) refuse(at, "Unsupported value");
  if (isList(value)) {
    if (typeof maxItems === "number" && value.length > maxItems) refuse(at, "Too many");
    for (const [index, item] of value.entries())
      if (isObject(items)) validateNode(items, item, `${path}[${index}]`);
  }
  if (!isObject(value)) return;
  for (const name of isList(required) ? required : [])
    if (typeof name === "string" && value[name] === undefined)
      refuse(`${path}.${name}`.slice(1), "Required value");
  const properties = objectAt(node, "properties");
  for (const [name, member] of Object.entries(value)) {
    const child = properties[name] ?? node["additionalProperties"];
    if (isObject(child)) validateNode(child, member, `${path}.${name}`);
  }
}

function validateText(node: JsonObject, value: string, at: string): void {
  const { minLength, maxLength } = node;
  const pattern = textAt(node, "pattern");
  if (typeof minLength === "number" && value.length < minLength) refuse(at, "too short");
  if (typeof maxLength === "number" && value.length > maxLength) refuse(at, "Too long");
  if (pattern !== undefined && !new RegExp(pattern, "u").test(value))
    refuse(at, `should match '${pattern}'`);
}
