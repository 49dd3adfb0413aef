import { quoted, ServerError } from "../errors.ts";

/** The server's only model. */
export interface ModelName {
  readonly name: string;
  /** Empty: the model has no version. */
  readonly version: string;
}

/** @throws NOT_FOUND unless a request that names this model and version means the server's own */
export function checkModel(
  own: ModelName,
  { name = own.name, version = "" }: { readonly name?: string; readonly version?: string },
): void {
  if (name !== own.name)
    throw new ServerError(
      "NOT_FOUND",
      `there is no model ${quoted(name)}: this server has ${own.name}`,
    );
  if (version === "" || version === own.version) return;
  const serves = own.version === "" ? "has no versions" : `serves ${own.version}`;
  throw new ServerError(
    "NOT_FOUND",
    `there is no version ${quoted(version)} of ${own.name}: this server ${serves}`,
  );
}
