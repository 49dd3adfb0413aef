import { z } from "zod";

/**
 * What the model server's `check` prints, one line of JSON each: the CLI runs it as a program of its own, since it loads
 * models with native libraries (docs/decisions/0022).
 */

/** An input or output of the model. */
export const CheckedPort = z.object({
  name: z.string(),
  datatype: z.string(),
  /** -1: any size. */
  shape: z.array(z.number()),
});
export type CheckedPort = z.infer<typeof CheckedPort>;

export const CheckEvent = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("phase"), phase: z.enum(["files", "model", "samples"]) }),
  z.object({
    kind: z.literal("sample"),
    /** As in the bundle: `samples/1.json`. */
    path: z.string(),
    done: z.int(),
    of: z.int(),
    /** Its request and answer, where answers are recorded. */
    recorded: z.object({ request: z.unknown(), expected: z.unknown() }).optional(),
  }),
  /** Of a model's file: what it declares. */
  z.object({
    kind: z.literal("model"),
    inputs: z.array(CheckedPort),
    outputs: z.array(CheckedPort),
    /** Classes that the model itself names. */
    labels: z.int().optional(),
    /** Files beside it that hold its weights. */
    external: z.array(z.string()),
  }),
  /** The end of a check that found nothing wrong. */
  z.object({
    kind: z.literal("servable"),
    inputs: z.array(CheckedPort),
    outputs: z.array(CheckedPort),
    labels: z.int().optional(),
    image: z.object({ width: z.int(), height: z.int() }).optional(),
    samples: z.int(),
  }),
  /** Why a pod would end: the message that it would leave. */
  z.object({ kind: z.literal("refused"), message: z.string() }),
]);
export type CheckEvent = z.infer<typeof CheckEvent>;
export type CheckResult = Extract<CheckEvent, { readonly kind: "servable" | "model" }>;
