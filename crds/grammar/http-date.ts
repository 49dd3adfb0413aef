/** The three forms of a date in HTTP (RFC 9110, 5.6.7): IMF-fixdate, and the obsolete RFC 850 and asctime forms. */

const MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");
const TIME = String.raw`(?<hour>\d{2}):(?<minute>\d{2}):(?<second>\d{2})`;
const FORMS = [
  String.raw`[A-Z][a-z]{2}, (?<day>\d{2}) (?<month>[A-Z][a-z]{2}) (?<year>\d{4}) ${TIME} GMT`,
  String.raw`[A-Z][a-z]{5,8}, (?<day>\d{2})-(?<month>[A-Z][a-z]{2})-(?<year>\d{2}) ${TIME} GMT`,
  String.raw`[A-Z][a-z]{2} (?<month>[A-Z][a-z]{2}) (?<day>[ \d]\d) ${TIME} (?<year>\d{4})`,
].map((form) => new RegExp(`^${form}$`));

/** Milliseconds since the epoch; undefined for a text that is no date of HTTP. */
export function parseHttpDate(text: string): number | undefined {
  const groups = FORMS.map((form) => form.exec(text)?.groups).find((found) => found !== undefined);
  if (groups === undefined) return undefined;
  const month = MONTHS.indexOf(groups["month"] ?? "");
  const [day, hour, minute, second] = ["day", "hour", "minute", "second"].map((name) =>
    Number(groups[name]),
  );
  const time = Date.UTC(fullYear(groups["year"] ?? ""), month, day, hour, minute, second);
  // 31 February becomes a day of March.
  return month >= 0 && new Date(time).getUTCDate() === day ? time : undefined;
}

/** Two digits, in the form that has been obsolete since 1994, are the nearest century to the epoch of Unix. */
function fullYear(text: string): number {
  const year = Number(text);
  return text.length === 4 ? year : year < 70 ? 2000 + year : 1900 + year;
}
