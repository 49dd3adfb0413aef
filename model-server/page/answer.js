import { element, part } from "./dom.js";

/** Shows answers: classes as bars, other values as they are. */

const MAX_ROWS = 20;
const MAX_VALUES = 200;

/** @param {number} value */
function percent(value) {
  return value > 0 && value < 0.005 ? "< 0.01 %" : `${value.toFixed(2)} %`;
}

/** @param {number} ms */
function duration(ms) {
  return `${ms.toFixed(ms < 10 ? 1 : 0)} ms`;
}

/** @param {readonly (readonly [string, number])[]} classes */
function bars(classes) {
  const items = classes.map(([name, value]) => {
    const fill = element("span", "fill");
    fill.style.setProperty("--share", String(Math.max(0, Math.min(100, value))));
    const track = element("span", "track", fill);
    track.setAttribute("aria-hidden", "true");
    return element(
      "li",
      "",
      element("span", "name", name),
      element("span", "percent", percent(value)),
      track,
    );
  });
  return element("ol", "bars", ...items);
}

/** @param {unknown} row */
function isClasses(row) {
  return Array.isArray(row) && row.length > 0 && row.every(Array.isArray);
}

/** @param {string} label @param {unknown} values */
function block(label, values) {
  const all = [values].flat(Infinity);
  const shown = all.slice(0, MAX_VALUES).map((value) => JSON.stringify(value));
  const more = all.length > MAX_VALUES ? `\n… and ${all.length - MAX_VALUES} more` : "";
  const pre = element("pre", "", shown.join(", ") + more);
  pre.tabIndex = 0;
  pre.setAttribute("role", "group");
  pre.setAttribute("aria-label", label);
  return pre;
}

/** @param {readonly unknown[]} rows */
function rowsOf(rows) {
  const shown = rows.slice(0, MAX_ROWS).map((row, index) => {
    const title = rows.length > 1 ? [element("h3", "", `Row ${index + 1}`)] : [];
    const content = isClasses(row)
      ? bars(/** @type {[string, number][]} */ (row))
      : block(`Row ${index + 1}`, row);
    return element("div", "output", ...title, content);
  });
  const left = rows.length - shown.length;
  return left > 0 ? [...shown, element("p", "caption", `and ${left} more rows`)] : shown;
}

/** @param {readonly any[]} outputs */
function outputsOf(outputs) {
  return outputs.map(({ name, datatype, shape, data }) =>
    element(
      "div",
      "output",
      element("h3", "", name),
      element("p", "caption", `${datatype} [${shape.join(", ")}]`),
      block(name, data),
    ),
  );
}

/** @param {{ body: any, ms: number, release: string, version: string }} answer */
export function showAnswer({ body, ms, release, version }) {
  const isScore = Array.isArray(body?.result);
  part("result").replaceChildren(
    ...(isScore ? rowsOf(body.result[0]) : outputsOf(body?.outputs ?? [])),
  );
  const own = isScore ? /[\d.]+ ms/.exec(String(body.result[1]))?.[0] : undefined;
  const times = [...(own === undefined ? [] : [`${own} in the server`]), `${duration(ms)} in all`];
  const answered = [
    ...(version === "" ? [] : [`model version ${version}`]),
    ...(release === "" ? [] : [`release ${release}`]),
  ];
  part("timing").replaceChildren(
    element("p", "", times.join(", ")),
    ...(answered.length === 0 ? [] : [element("p", "", `Answered by ${answered.join(", ")}`)]),
  );
  showProblem(undefined);
}

/** @param {string} text */
export function showEmpty(text) {
  part("result").replaceChildren(element("p", "empty", text));
  part("timing").replaceChildren();
}

/** @param {string | undefined} message */
export function showProblem(message) {
  const problem = part("problem");
  problem.hidden = message === undefined;
  problem.textContent = message ?? "";
}

/** @param {boolean} isBusy */
export function showBusy(isBusy) {
  part("result").setAttribute("aria-busy", String(isBusy));
}
