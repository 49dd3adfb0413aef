/** Times as the Kubernetes API writes them (RFC 3339, `metav1.Time`). */

const TIME =
  /^(\d{4})-(\d{2})-(\d{2})[Tt](\d{2}):(\d{2}):(\d{2})(\.\d{1,9})?([Zz]|[+-](\d{2}):(\d{2}))$/;

/** UTC, to the second. @param ms since the epoch, from year 0 to 9999 */
export function formatTime(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}

/** Milliseconds since the epoch; undefined for a text that is no time, or a time that no calendar has. */
export function parseTime(text: string): number | undefined {
  const match = TIME.exec(text);
  if (match === null) return undefined;
  const [, year, month, day, hour, minute, second, fraction = "0"] = match;
  const [offset = "Z", offsetHour = "0", offsetMinute = "0"] = match.slice(8);
  if (Number(hour) > 23 || Number(offsetHour) > 23 || Number(offsetMinute) > 59) return undefined;
  const local = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  // JavaScript reads 30 February as 2 March.
  if (Number.isNaN(local) || new Date(local).getUTCDate() !== Number(day)) return undefined;
  const shift = (Number(offsetHour) * 60 + Number(offsetMinute)) * 60_000;
  const sign = offset.startsWith("-") ? -1 : 1;
  return local + Math.floor(Number(fraction) * 1000) - sign * shift;
}
