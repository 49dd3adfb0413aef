import { expect, test } from "vitest";

import { ServerError } from "./errors.ts";
import { explain } from "./explain.ts";

test.each([
  [new ServerError("BUNDLE_CHECKSUM", "differs"), "ModelChecksumMismatch: differs"],
  [new ServerError("MODEL_LOAD_FAILED", "refused"), "ModelLoadFailed: refused"],
  [new ServerError("SAMPLE_MISMATCH", "other"), "ModelLoadFailed: other"],
  [new Error("unforeseen"), "ModelLoadFailed: unforeseen"],
])("%s carries the reason that the operator knows", (error, message) => {
  expect(explain(error)).toBe(message);
});

test.each(["CONFIG_INVALID", "LISTEN_FAILED"] as const)("%s does not blame the model", (code) => {
  expect(explain(new ServerError(code, "what is wrong"))).toBe("what is wrong");
});
