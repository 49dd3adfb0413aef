/** @import { ServerRequest } from "./types.d.ts" */

/** Requests as people send them from elsewhere: text to copy. */

/** @param {string} text one word of a POSIX shell */
function shellWord(text) {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/**
 * @param {ServerRequest} request
 * @returns {string}
 */
export function curlOf({ url, contentType, body, hasKey }) {
  const data =
    "file" in body
      ? `--data-binary ${shellWord(`@${body.file}`)}`
      : `--data-raw ${shellWord(body.json)}`;
  return [
    "curl",
    ...(hasKey ? [`--header "Authorization: Bearer $API_KEY"`] : []),
    `--header ${shellWord(`Content-Type: ${contentType}`)}`,
    data,
    shellWord(url),
  ].join(" \\\n  ");
}

/** @param {string} text */
function pythonText(text) {
  // JSON's escapes are Python's, but for halves of surrogate pairs, which no name of a file here has.
  return JSON.stringify(text);
}

/**
 * With Python's standard library alone.
 * @param {ServerRequest} request
 * @returns {string}
 */
export function pythonOf({ url, contentType, body, hasKey }) {
  const isFile = "file" in body;
  const headers = [
    `"Content-Type": ${pythonText(contentType)}`,
    ...(hasKey ? [`"Authorization": "Bearer " + os.environ["API_KEY"]`] : []),
  ].join(", ");
  return [
    "import json",
    ...(hasKey ? ["import os"] : []),
    "import urllib.request",
    "",
    ...(isFile
      ? [`with open(${pythonText(body.file)}, "rb") as file:`, "    body = file.read()"]
      : [`body = ${pythonText(body.json)}.encode()`]),
    `request = urllib.request.Request(${pythonText(url)}, body, {${headers}})`,
    "with urllib.request.urlopen(request) as response:",
    "    print(json.load(response))",
  ].join("\n");
}
