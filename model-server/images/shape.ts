import type { Preprocessing } from "../bundle/preprocessing.ts";

export function channelsOf({ channels }: Preprocessing): number {
  return channels === "grey" ? 1 : 3;
}

/** The shape of one image's tensor, without the batch. */
export function shapeOf(how: Preprocessing): readonly number[] {
  const { width, height, layout } = how;
  return layout === "NCHW" ? [channelsOf(how), height, width] : [height, width, channelsOf(how)];
}
