import { button, element, find, part } from "./dom.js";
import { describeInputs, fieldsOf, initialValues, readField, valuesOf } from "./values.js";

/** @import { Field, Model, Values } from "./types.d.ts" */

/** A form of one row, or JSON of any number, for models of tensors. */

/** @param {Field} field @param {number} index */
function control({ label, datatype, initial }, index) {
  const input = document.createElement(datatype === "BOOL" ? "select" : "input");
  if (input instanceof HTMLSelectElement) {
    for (const value of ["false", "true"]) input.add(new Option(value, value));
    input.value = String(initial === true || initial === 1);
  } else {
    input.value = String(initial);
    input.autocomplete = "off";
    input.spellcheck = false;
    if (datatype !== "BYTES") input.inputMode = "decimal";
  }
  input.id = `field-${index}`;
  const title = element("label", "", label);
  title.setAttribute("for", input.id);
  return { input, part: element("div", "field", title, input) };
}

/**
 * @param {Model} model
 * @param {(values: Values, isSubmitted: boolean) => void} onValues on each change, and when it is to be scored
 * @param {(message: string) => void} onProblem
 */
export function setUpForm(model, onValues, onProblem) {
  const { inputs } = model;
  part("tensors").hidden = false;
  part("shapes").textContent = describeInputs(inputs);
  const json = find("json", HTMLTextAreaElement);
  const form = find("form", HTMLFormElement);
  const initial = initialValues(model);
  const fields = fieldsOf(inputs, initial);
  /** @type {readonly (HTMLInputElement | HTMLSelectElement)[]} */
  let controls = [];
  let isFieldEdited = false;

  function isJson() {
    return new FormData(form).get("mode") === "json";
  }

  function fill() {
    json.value = textOf(initial);
    isFieldEdited = false;
    const made = (fields ?? []).map(control);
    controls = made.map(({ input }) => input);
    part("fields").replaceChildren(...made.map(({ part }) => part));
  }

  /** @returns {Values | undefined} */
  function read() {
    json.removeAttribute("aria-invalid");
    for (const one of controls) one.removeAttribute("aria-invalid");
    if (isJson()) return readJson();
    const elements = controls.map((one, at) => readField(one.value, fields?.[at]?.datatype ?? ""));
    const wrong = elements.indexOf(undefined);
    if (wrong === -1) return valuesOf(inputs, elements);
    controls[wrong]?.setAttribute("aria-invalid", "true");
    onProblem(`${fields?.[wrong]?.label} is no ${fields?.[wrong]?.datatype}: enter a number.`);
    return undefined;
  }

  /** @returns {Values | undefined} */
  function readJson() {
    try {
      const values = JSON.parse(json.value);
      if (typeof values === "object" && values !== null && !Array.isArray(values)) return values;
    } catch {
      // The message says what is wrong.
    }
    json.setAttribute("aria-invalid", "true");
    onProblem(`This is not JSON of the form {"${inputs[0]?.name ?? "input"}": [[…]]}.`);
    return undefined;
  }

  function showMode() {
    part("fields").hidden = isJson();
    part("json-part").hidden = !isJson();
  }

  /** @param {boolean} isSubmitted */
  function emit(isSubmitted) {
    const values = read();
    if (values !== undefined) onValues(values, isSubmitted);
  }

  fill();
  if (fields === undefined) {
    part("modes").hidden = true;
    const mode = form.elements.namedItem("mode");
    if (mode instanceof RadioNodeList) mode.value = "json";
  }
  showMode();
  form.addEventListener("input", (event) => {
    if (!(event.target instanceof HTMLInputElement && event.target.name === "mode")) {
      if (!isJson()) isFieldEdited = true;
      emit(false);
      return;
    }
    // What was entered in fields goes on as JSON; fields hold only one row, so what was entered as JSON stays there.
    if (isJson() && isFieldEdited) {
      isFieldEdited = false;
      const elements = controls.map((one, at) =>
        readField(one.value, fields?.[at]?.datatype ?? ""),
      );
      if (!elements.includes(undefined)) json.value = textOf(valuesOf(inputs, elements));
    }
    showMode();
    emit(false);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    emit(true);
  });
  button("reset").addEventListener("click", () => {
    fill();
    emit(false);
  });
  emit(false);
}

/** One row a line. @param {Values} values */
function textOf(values) {
  const inputs = Object.entries(values).map(([name, value]) => {
    const rows = Array.isArray(value)
      ? `[\n${value.map((row) => `    ${JSON.stringify(row)}`).join(",\n")}\n  ]`
      : JSON.stringify(value);
    return `  ${JSON.stringify(name)}: ${rows}`;
  });
  return `{\n${inputs.join(",\n")}\n}`;
}
