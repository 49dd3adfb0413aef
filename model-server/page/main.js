import { showAnswer, showBusy, showEmpty, showProblem } from "./answer.js";
import { hasKey, keepKey, readModel, send, ServerProblem } from "./api.js";
import { button, element, find, part } from "./dom.js";
import { setUpForm } from "./form.js";
import { setUpPicture } from "./picture.js";
import { curlOf, pythonOf } from "./snippets.js";
import { inferBody, scoreBody } from "./values.js";

/** @import { Model, ServerRequest } from "./types.d.ts" */

const TOP = 5;
const RETRY_MS = 1000;
const COPIED_MS = 1500;

/** @type {ServerRequest | undefined} */
let shown;
let sending = new AbortController();

/** @param {string} path */
function urlOf(path) {
  return new URL(path, document.baseURI).href;
}

/** @param {"ready" | "loading" | "failed"} state @param {string} text */
function showState(state, text) {
  const label = part("state");
  label.dataset["state"] = state;
  label.textContent = text;
}

/** @param {Model} model */
function showModel({ name, version, release, server, runtime }) {
  document.title = version === "" ? name : `${name} ${version}`;
  part("model-name").textContent = name;
  part("model-version").textContent = `version ${version}`;
  part("model-version").hidden = version === "";
  const facts = [
    ["Release", release],
    ["Server", server],
    ["Runtime", runtime],
  ].filter(([, value]) => value !== "");
  part("facts").replaceChildren(
    ...facts.map(([key = "", value = ""]) =>
      element("div", "", element("dt", "", key), element("dd", "", value)),
    ),
  );
}

/** @param {ServerRequest} request */
function showRequest(request) {
  shown = request;
  const isPython = document.querySelector("input[name=language][value=python]:checked") !== null;
  part("snippet").textContent = isPython ? pythonOf(request) : curlOf(request);
  part("code").hidden = false;
}

/** The latest request wins. @param {ServerRequest} request */
async function score(request) {
  showRequest(request);
  sending.abort();
  sending = new AbortController();
  const { signal } = sending;
  showBusy(true);
  try {
    const answer = await send(request, signal);
    if (!signal.aborted) showAnswer(answer);
  } catch (error) {
    if (signal.aborted) return;
    if (error instanceof ServerProblem && error.status === 401) askForKey();
    showEmpty("");
    showProblem(error instanceof Error ? error.message : String(error));
  } finally {
    if (!signal.aborted) showBusy(false);
  }
}

/** @param {Model} model */
function setUp(model) {
  part("columns").hidden = false;
  if (model.image !== undefined) {
    showEmpty("Choose or draw a picture: its classes show here.");
    void setUpPicture(model, (blob, file) => {
      void score({
        url: urlOf(`score?top=${TOP}`),
        contentType: blob.type === "" ? "application/octet-stream" : blob.type,
        body: { file, blob },
        hasKey: hasKey(),
      });
    });
    return;
  }
  showEmpty("Score the values: the answer shows here.");
  const path = model.hasLabels
    ? `score?top=${TOP}`
    : `v2/models/${encodeURIComponent(model.name)}/infer`;
  setUpForm(
    model,
    (values, isSubmitted) => {
      const body = model.hasLabels
        ? scoreBody(model.inputs, values)
        : inferBody(model.inputs, values);
      const request = {
        url: urlOf(path),
        contentType: "application/json",
        body: { json: JSON.stringify(body) },
        hasKey: hasKey(),
      };
      showProblem(undefined);
      if (isSubmitted) void score(request);
      else showRequest(request);
    },
    showProblem,
  );
}

function askForKey() {
  part("key-form").hidden = false;
  find("key", HTMLInputElement).focus();
}

async function start() {
  try {
    const model = await readModel();
    part("key-form").hidden = true;
    showModel(model);
    showState(model.ready ? "ready" : "loading", model.ready ? "Ready" : "Loading the model");
    if (model.ready) setUp(model);
    else setTimeout(() => void start(), RETRY_MS);
  } catch (error) {
    showState("failed", error instanceof Error ? error.message : String(error));
    if (error instanceof ServerProblem && error.status === 401) askForKey();
    else setTimeout(() => void start(), RETRY_MS);
  }
}

/** Browsers give the clipboard to pages of HTTPS and of this machine alone. @param {string} text */
async function copy(text) {
  if (navigator.clipboard !== undefined) {
    await navigator.clipboard.writeText(text);
    return;
  }
  getSelection()?.selectAllChildren(part("snippet"));
  document.execCommand("copy");
}

for (const radio of document.querySelectorAll("input[name=language]"))
  radio.addEventListener("change", () => {
    if (shown !== undefined) showRequest(shown);
  });
button("copy").addEventListener("click", () => {
  copy(part("snippet").textContent ?? "").then(
    () => {
      button("copy").textContent = "Copied";
      setTimeout(() => (button("copy").textContent = "Copy"), COPIED_MS);
    },
    (error) => showProblem(String(error)),
  );
});
part("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  keepKey(find("key", HTMLInputElement).value.trim());
  part("key-form").hidden = true;
  if (part("columns").hidden) void start();
});

await start();
