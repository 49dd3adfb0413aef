import { z } from "zod";

export const activations = ["none", "softmax", "sigmoid"] as const;
export type Activation = (typeof activations)[number];

/** How the model's output becomes the answer of `POST /score`. A misspelt field is rejected. */
export const Postprocessing = z.strictObject({
  /** The output that is scored; the first of floating-point numbers unless said. */
  output: z.string().optional(),
  /** What makes probabilities of the output's values; `none` where they are probabilities already. */
  activation: z.enum(activations).optional(),
});
export type Postprocessing = z.infer<typeof Postprocessing>;
