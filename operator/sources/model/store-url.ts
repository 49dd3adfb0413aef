import { isStore } from "../../../crds/grammar/host.ts";
import { OperatorError } from "../../errors.ts";

/**
 * The parsed URL of a Blob container. Parsers of URLs differ on what is odd: a backslash ends a host for some, and is a
 * part of it for others. So only what the grammar admits is parsed.
 *
 * @throws HOST_NOT_ALLOWED
 */
export function parseStore(store: string): URL {
  const url = isStore(store) ? URL.parse(store) : null;
  if (url !== null) return url;
  throw new OperatorError(
    "HOST_NOT_ALLOWED",
    `the store ${JSON.stringify(store.slice(0, 200))} is no URL of a container: write https://<account>.blob.core.windows.net/<container>`,
  );
}
