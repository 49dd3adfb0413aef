import type { KubernetesObject } from "../types.ts";

type Labels = Readonly<Record<string, string>>;
type Test = (labels: Labels) => boolean;

/** A label selector as in a query: `a=b,c!=d,e,!f,g in (h,i),j notin (k)`. */
export function parseSelector(text: string): (object: KubernetesObject) => boolean {
  const tests = text
    .split(/,(?![^(]*\))/)
    .filter((term) => term.trim() !== "")
    .map((term) => parseTerm(term.trim()));
  return ({ metadata }) => tests.every((test) => test(metadata?.labels ?? {}));
}

function parseTerm(term: string): Test {
  const set = /^(\S+)\s+(in|notin)\s+\(([^)]*)\)$/.exec(term);
  if (set !== null) {
    const [, key = "", operator, list = ""] = set;
    const values = new Set(list.split(",").map((value) => value.trim()));
    const isIn: Test = (labels) => values.has(labels[key] ?? "") && key in labels;
    return operator === "in" ? isIn : (labels) => !isIn(labels);
  }
  const equality = /^([^\s!=]+)\s*(==?|!=)\s*([^\s!=]*)$/.exec(term);
  if (equality !== null) {
    const [, key = "", operator, value = ""] = equality;
    return operator === "!="
      ? (labels) => labels[key] !== value
      : (labels) => labels[key] === value;
  }
  const [, not, key = ""] = /^(!?)\s*([^\s!=(),]+)$/.exec(term) ?? [];
  if (key === "") throw new Error(`the fake cannot read the label selector ${term}`);
  return not === "!" ? (labels) => !(key in labels) : (labels) => key in labels;
}

/** `path=value`, comma-separated. Which fields a kind knows is the real server's to say. */
export function parseFieldSelector(text: string): (object: KubernetesObject) => boolean {
  const terms = text.split(",").filter((term) => term !== "");
  const tests = terms.map((term) => {
    const [, path, value] = /^([A-Za-z.]+)=([^=!,]*)$/.exec(term) ?? [];
    if (path === undefined) throw new Error(`the fake cannot read the field selector ${term}`);
    return { path: path.split("."), value };
  });
  return (object) =>
    tests.every(({ path, value }) => {
      const found = path.reduce<unknown>(
        (at, key) => (typeof at === "object" && at !== null ? Reflect.get(at, key) : undefined),
        object,
      );
      return found === value;
    });
}
