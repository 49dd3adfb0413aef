/** Each code is one of the operator's own (`operator/errors.ts`), which holds the two together at compile time. */
export type GrammarErrorCode =
  | "IMAGE_REFERENCE_INVALID"
  | "IMAGE_POLICY_INVALID"
  | "VERSIONS_AMBIGUOUS";

/** A text that the contract does not admit. The message says what is wrong, where, and what to write instead. */
export class GrammarError extends Error {
  override readonly name = "GrammarError";
  readonly code: GrammarErrorCode;

  constructor(code: GrammarErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
