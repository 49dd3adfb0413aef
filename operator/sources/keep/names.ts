/** Where the operator keeps what releases need, in the registries and stores of their apps. */

/** Kept model versions are at `<store>/.aiapp/kept/<hex>/`. No model can have this name: a dot does not begin one. */
export const KEPT_FOLDER = ".aiapp/kept";

const HEX = "[0-9a-f]{64}";
const keeperTag = new RegExp(`^aiapp-kept-${HEX}$`);
const keptVersion = new RegExp(`^${HEX}$`);

/** The folder of a kept version within `KEPT_FOLDER`: the hexadecimal part of its digest. */
export function keptVersionOf(digest: string): string {
  return digest.replace(/^sha256:/, "");
}

export function isKeptVersion(folder: string): boolean {
  return keptVersion.test(folder);
}

/** The tag that keeps an image: several apps and releases of one digest share it. */
export function keeperTagOf(digest: string): string {
  return `aiapp-kept-${keptVersionOf(digest)}`;
}

/** Keeper tags are never followed, whatever `imagePolicy` admits. */
export function isKeeperTag(tag: string): boolean {
  return keeperTag.test(tag);
}
