import { z } from "zod";

/** How images become tensors. A misspelt field is refused: its default would give wrong scores in silence. */
export const Preprocessing = z
  .strictObject({
    /** The model's input that takes images; the first one unless said. */
    input: z.string().optional(),
    width: z.int().min(1).max(8192),
    height: z.int().min(1).max(8192),
    /** `fill` stretches, `cover` crops the middle, `contain` adds black. */
    fit: z.enum(["fill", "cover", "contain"]).default("cover"),
    /** With `cover`: the short side in pixels, before the middle is cropped. As small as the crop allows unless said. */
    resize: z.int().min(1).max(8192).optional(),
    /** How pixels are made fewer or more; `nearest` keeps drawings of squares exact. */
    kernel: z.enum(["nearest", "linear", "cubic", "lanczos3"]).default("lanczos3"),
    channels: z.enum(["grey", "RGB", "BGR"]).default("RGB"),
    layout: z.enum(["NCHW", "NHWC"]).default("NCHW"),
    /** Per channel, of values from 0 to 255: (value - mean) / scale. One number serves all channels. */
    mean: z.array(z.number()).min(1).max(3).default([0]),
    scale: z.array(z.number().positive()).min(1).max(3).default([255]),
  })
  .superRefine(({ fit, resize, width, height, channels, mean, scale }, context) => {
    if (resize !== undefined && (fit !== "cover" || resize < Math.max(width, height)))
      context.addIssue({
        code: "custom",
        path: ["resize"],
        message: "needs the fit cover, and at least as many pixels as width and height",
      });
    const count = channels === "grey" ? 1 : 3;
    for (const [field, { length }] of Object.entries({ mean, scale })) {
      if (length !== 1 && length !== count)
        context.addIssue({
          code: "custom",
          path: [field],
          message: `has ${length} numbers: give one for all channels, or one for each of ${count}`,
        });
    }
  });
export type Preprocessing = z.infer<typeof Preprocessing>;
