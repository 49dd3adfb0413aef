/**
 * Who needs a kept model version: AIApps, by their uid, in the metadata of its manifest.json. Apps of several clusters may
 * share a store, and none of them can see the others: so each renews its claim, and a copy without one that is in force is
 * one that no app needs. Pure.
 */
export type Metadata = Readonly<Record<string, string>>;

const RENEW_MS = 24 * 3600_000;
/** How long a claim holds that is not renewed: an operator may be down for days. */
export const CLAIM_MS = 14 * 24 * 3600_000;
const PREFIX = "claim_";
/** Metadata holds 8 KiB at most. */
const MAX_CLAIMS = 100;
const SHARED = `${PREFIX}shared`;

/** The metadata with an app's claim renewed; undefined while there is no need to write it. */
export function renewed(
  metadata: Metadata | undefined,
  uid: string,
  now: number,
): Metadata | undefined {
  const inForce = claimsIn(metadata).filter(([, at]) => now - at < CLAIM_MS);
  const own = `${PREFIX}${uid.toLowerCase().replaceAll(/[^a-z0-9]/g, "")}`;
  const isFull = inForce.length >= MAX_CLAIMS && !inForce.some(([name]) => name === own);
  // What does not fit makes one claim together.
  const name = isFull ? SHARED : own;
  const at = inForce.find(([one]) => one === name)?.[1];
  if (at !== undefined && now - at < RENEW_MS) return undefined;
  return Object.fromEntries(
    [...inForce, [name, now] as const].map(([one, time]) => [one, String(time)]),
  );
}

/** No app has claimed it for so long that none needs it any more. */
export function isUnclaimed(metadata: Metadata | undefined, now: number): boolean {
  return claimsIn(metadata).every(([, at]) => now - at >= CLAIM_MS);
}

function claimsIn(metadata: Metadata = {}): readonly (readonly [name: string, at: number])[] {
  return Object.entries(metadata).flatMap(([key, value]) => {
    const [name, at] = [key.toLowerCase(), Number(value)];
    return name.startsWith(PREFIX) && Number.isSafeInteger(at) ? [[name, at] as const] : [];
  });
}
