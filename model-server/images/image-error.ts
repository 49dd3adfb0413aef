import { quoted, ServerError } from "../errors.ts";

/** Which of the images of a request, for its client. */
export interface ImagePlace {
  /** From 0. */
  readonly index: number;
  readonly count: number;
  /** The name of the form's field that has it. */
  readonly field?: string | undefined;
}

const MAX_FIELD = 100;

/** An image that is none, or too large. */
export class ImageError extends ServerError {
  /** What follows the name of the image. */
  readonly why: string;
  /** Undefined where there is only one, or its reader does not know. */
  readonly place: ImagePlace | undefined;

  constructor(why: string, place?: ImagePlace, options?: ErrorOptions) {
    super("IMAGE_INVALID", `${nameOf(place)} ${why}`, options);
    this.why = why;
    this.place = place;
  }

  /** The same of one of many images. */
  at(place: ImagePlace): ImageError {
    return new ImageError(this.why, place, { cause: this.cause });
  }
}

function nameOf(place: ImagePlace | undefined): string {
  if (place === undefined || place.count === 1) return "the image";
  const { index, count, field } = place;
  const which = field === undefined ? "" : ` (in the field ${quoted(field, MAX_FIELD)})`;
  return `image ${index + 1} of ${count}${which}`;
}
