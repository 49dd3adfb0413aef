import { parseTime } from "../../../crds/grammar/rfc3339.ts";
import { ours, type Observed } from "../observed.ts";

/** What the HorizontalPodAutoscaler says of itself: whether it can compute the number of pods. */
export interface Autoscaler {
  readonly isActive: boolean;
  /** Its own reason and message. */
  readonly message: string;
  /** It has been inactive so briefly that metrics may only be late. When that ends; milliseconds since the epoch. */
  readonly graceUntil: number | undefined;
}

/** New pods have no metrics for about a minute. */
const GRACE_MS = 2 * 60_000;

/** Undefined without an autoscaler, and until it has reported. */
export function readAutoscaler({ app, owned }: Observed, now: number): Autoscaler | undefined {
  if (app.spec.autoscaling === undefined) return undefined;
  const { conditions } = ours(owned.horizontalPodAutoscaler)?.status ?? {};
  const active = conditions?.find(({ type }) => type === "ScalingActive");
  if (active === undefined) return undefined;
  const { status, reason = "", message = "" } = active;
  // On the wire it is text, whatever its declared type.
  const since: unknown = active.lastTransitionTime;
  const until = (typeof since === "string" ? (parseTime(since) ?? 0) : 0) + GRACE_MS;
  const isActive = status === "True";
  return {
    isActive,
    message: [reason, message].filter(Boolean).join(": "),
    graceUntil: !isActive && until > now ? until : undefined,
  };
}
