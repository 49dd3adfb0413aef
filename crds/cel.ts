/** A rule of `x-kubernetes-validations`, with the message that the API server refuses an object with. */
export interface CelRule {
  readonly rule: string;
  readonly message: string;
  readonly fieldPath?: string;
}

/** CEL rules for `.meta()`, beside the field that they guard. */
export function cel(...rules: readonly CelRule[]): {
  "x-kubernetes-validations": readonly CelRule[];
} {
  return { "x-kubernetes-validations": rules };
}
