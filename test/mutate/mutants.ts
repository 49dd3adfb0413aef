import { parseSync } from "oxc-parser";

/** One small change of a source file that a test should notice. Offsets are characters of the text. */
export interface Mutant {
  readonly start: number;
  readonly end: number;
  readonly replacement: string;
}

const OPERATORS: Readonly<Record<string, string>> = {
  "===": "!==",
  "!==": "===",
  "<": "<=",
  "<=": "<",
  ">": ">=",
  ">=": ">",
  "+": "-",
  "-": "+",
  "*": "/",
  "&&": "||",
  "||": "&&",
  "??": "&&",
};

interface Node {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly [key: string]: unknown;
}

function isNode(value: unknown): value is Node {
  return (
    typeof value === "object" && value !== null && typeof Reflect.get(value, "type") === "string"
  );
}

/** Every mutant of a file: operators, conditions, booleans, small numbers, and texts that are returned or compared. */
export function mutantsOf(file: string, text: string): readonly Mutant[] {
  const { program, errors } = parseSync(file, text);
  if (errors.length > 0) throw new Error(`${file} cannot be parsed: ${errors[0]?.message ?? ""}`);
  const mutants: Mutant[] = [];
  visit(program as unknown as Node);
  return mutants;

  function visit(node: Node): void {
    // Types and imports mean nothing at run time.
    if (/^TS|^Import|^ExportAll/.test(node.type) && node.type !== "TSAsExpression") return;
    const mutant = mutantOf(node, text);
    if (mutant !== undefined) mutants.push(mutant);
    for (const [key, value] of Object.entries(node)) {
      if (key === "typeAnnotation" || key === "returnType" || key === "typeArguments") continue;
      for (const child of Array.isArray(value) ? (value as readonly unknown[]) : [value])
        if (isNode(child)) visit(child);
    }
  }
}

function mutantOf(node: Node, text: string): Mutant | undefined {
  const { start, end } = node;
  const source = text.slice(start, end);
  switch (node.type) {
    case "BinaryExpression":
    case "LogicalExpression": {
      const other = OPERATORS[String(node["operator"])];
      const { left, right } = node;
      if (other === undefined || !isNode(left) || !isNode(right)) return undefined;
      const between = text.slice(left.end, right.start);
      const replacement = between.replace(String(node["operator"]), other);
      return { start: left.end, end: right.start, replacement };
    }
    case "UnaryExpression":
      return node["operator"] === "!" ? { start, end: start + 1, replacement: "" } : undefined;
    case "ConditionalExpression": {
      const { test } = node;
      return isNode(test)
        ? {
            start: test.start,
            end: test.end,
            replacement: `!(${text.slice(test.start, test.end)})`,
          }
        : undefined;
    }
    case "IfStatement": {
      const { test } = node;
      return isNode(test) ? { start: test.start, end: test.end, replacement: "false" } : undefined;
    }
    case "Literal":
      if (node["value"] === true || node["value"] === false)
        return { start, end, replacement: String(!node["value"]) };
      if (typeof node["value"] === "number") return { start, end, replacement: `(${source} + 1)` };
      return undefined;
    default:
      return undefined;
  }
}
