import type { Config } from "../config.ts";
import { ServerError } from "../errors.ts";

/** Of a path that names a model. */
export interface ModelParams {
  readonly Params: { readonly name?: string; readonly version?: string };
}

/** @throws NOT_FOUND unless it is the model, and the version, that this server has */
export function checkModel(
  { model }: Config,
  { name = model.name, version }: ModelParams["Params"],
): void {
  if (name !== model.name)
    throw new ServerError(
      "NOT_FOUND",
      `there is no model ${JSON.stringify(name.slice(0, 100))}: this server has ${model.name}`,
    );
  if (version === undefined || version === "" || version === model.version) return;
  const own = model.version === "" ? "has no versions" : `serves ${model.version}`;
  throw new ServerError(
    "NOT_FOUND",
    `there is no version ${JSON.stringify(version.slice(0, 100))} of ${model.name}: this server ${own}`,
  );
}
