/** Whether a modelVersion chooses among versions, as `latest`, `>=7 <8` and `7.x` do, instead of naming one folder. */
export function isChoice(version: string): boolean {
  return /[<>=^~*| ]|(^|\.)x($|\.)|^latest$/i.test(version);
}

/**
 * Whether `latest` and ranges can sort it: a number, a semantic version or a date. The operator decides which is newest;
 * one folder that it cannot read makes all of a model's versions ambiguous.
 */
export function isSortable(version: string): boolean {
  return semver.test(version) || date.test(version);
}

const semver =
  /^v?\d+(\.\d+){0,2}(-(0|[1-9]\d*|\d*[A-Za-z-][0-9A-Za-z-]*)(\.(0|[1-9]\d*|\d*[A-Za-z-][0-9A-Za-z-]*))*)?(\+[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?$/;
const date = /^\d{4}[-.]?\d{2}[-.]?\d{2}([-T_.]?\d{2}[-:.]?\d{2}([-:.]?\d{2})?Z?)?$/;
