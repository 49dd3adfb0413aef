import type { NotificationTarget } from "../../crds/aiapp/notifications.ts";
import type { ReleaseEvent } from "../../crds/notification.ts";
import type { ErrorCode } from "../errors.ts";

/** One event that one webhook has still to get. */
export interface Delivery {
  readonly target: Pick<NotificationTarget, "name" | "type" | "secret">;
  readonly event: ReleaseEvent;
}

/** A webhook that does not take what it is sent. */
export interface FailingTarget {
  readonly name: string;
  readonly code: ErrorCode;
  /** Names neither the URL nor its host: both are in a Secret. */
  readonly message: string;
}

/** How the deliveries of one app go. In memory: after a restart of the operator nothing is known. */
export interface DeliveryView {
  /** Whether the webhook took the event. */
  readonly isDelivered: (name: string, eventId: string) => boolean;
  readonly failing: readonly FailingTarget[];
}
