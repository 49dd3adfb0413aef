import { resolve } from "node:path";

import { readManifest } from "./bundle/bundle.ts";
import { modelBaseName } from "./bundle/model-file.ts";
import { requestOfZeros, type ModelMetadata } from "./protocol/description.ts";

/**
 * The environment of a server without Kubernetes: what the caller has not set follows from the folder or file, and it
 * listens for this machine alone.
 * @throws BUNDLE_INVALID for a manifest that is not valid
 */
export async function environmentFor(
  path: string,
  environment: NodeJS.ProcessEnv,
): Promise<NodeJS.ProcessEnv> {
  const manifest = await readManifest(path, "follow");
  return {
    ...(manifest === undefined
      ? namesOf(path)
      : { MODEL_NAME: manifest.name, MODEL_VERSION: manifest.version }),
    HOST: "127.0.0.1",
    LOG_LEVEL: "warn",
    ...environment,
    MODEL_DIR: path,
  };
}

/** Folders of versions are named by them; what holds them is not always named by the model. */
function namesOf(path: string): NodeJS.ProcessEnv {
  const own = modelBaseName(resolve(path));
  return /^v?\d/.test(own) ? { MODEL_VERSION: own } : { MODEL_NAME: own };
}

/**
 * The path of the model and a request of zeros, as curl; without the request where it would be too long.
 * @param needsKey whether requests need an API key, in whose place they have `<key>`
 */
export function curlOf(url: string, metadata: ModelMetadata, needsKey: boolean): readonly string[] {
  const curl = needsKey ? "curl --header 'Authorization: Bearer <key>'" : "curl";
  // What ends the shell's string, or begins one.
  const name = encodeURIComponent(metadata.name).replaceAll("'", "%27");
  const path = `${url}/v2/models/${name}`;
  const zeros = requestOfZeros(metadata);
  if (zeros === undefined) return [`${curl} ${path}`];
  const body = JSON.stringify(zeros).replaceAll("'", String.raw`\u0027`);
  return [`${curl} ${path}`, `${curl} --data '${body}' ${path}/infer`];
}
