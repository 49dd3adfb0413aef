import type { IncomingMessage } from "node:http";

import { invalidRequest, quoted, ServerError } from "../errors.ts";

const CHUNKED = /^chunked$/i;
/** As Node.js recognises it, which answers it by itself. */
const CONTINUE = /(?:^|\W)100-continue(?:$|\W)/i;

/**
 * Checks of a request's head what Node.js would refuse with an empty answer, or does not check.
 * @throws REQUEST_INVALID, UNSUPPORTED, EXPECTATION_FAILED
 */
export function checkHead({ headers, httpVersion }: IncomingMessage): void {
  // HTTP/1.0 has neither.
  if (httpVersion === "1.1") {
    if (headers.host === undefined)
      throw invalidRequest("the request has no header Host, which HTTP/1.1 requires: send it");
    if (headers.expect !== undefined && !CONTINUE.test(headers.expect))
      throw new ServerError(
        "EXPECTATION_FAILED",
        `the server does not know what Expect: ${quoted(headers.expect, 50)} asks for: send 100-continue, or none`,
      );
  }
  const coding = headers["transfer-encoding"];
  // Its parts are joined by then, but not decoded: they would be taken for the body.
  if (coding !== undefined && !CHUNKED.test(coding))
    throw new ServerError(
      "UNSUPPORTED",
      `the Transfer-Encoding ${quoted(coding, 50)} is not supported: send chunked alone, and name a compression in Content-Encoding`,
    );
}
