/** Text of a server or a bundle for a message: on one line, without control characters, at most `max` characters long. */
export function excerpt(text: string, max: number): string {
  // Far fewer are kept: the rest of a large text need not be searched.
  const clean = text.slice(0, max * 4).replace(/[\p{C}\p{Z}]+/gu, " ");
  return [...clean.trim()].slice(0, max).join("");
}
