import { ReleaseEvent } from "../../../crds/notification.ts";
import { OperatorError } from "../../errors.ts";
import type { Invariants } from "./invariants.testing.ts";
import { keyOf, type AppPlace } from "./staged-app.testing.ts";
import type { SendWebhook } from "../../notify/webhook.ts";

/** The URL of the Secret that names the webhook of scenarios. */
export const WEBHOOK_URL = "https://hooks.example.com/secret-path";

/** A webhook in memory, of type Generic. */
export class Webhooks {
  isFailing = false;
  /** Events of phases that no journal had when they came. */
  readonly premature: string[] = [];
  /** Every event that it took, in their order; repetitions among them. */
  readonly received: ReleaseEvent[] = [];

  readonly #hadEntry: Invariants["hadEntry"];

  constructor(hadEntry: Invariants["hadEntry"]) {
    this.#hadEntry = hadEntry;
  }

  readonly send: SendWebhook = async ({ url, body }) => {
    if (url.href !== WEBHOOK_URL) throw new TypeError(`unexpected webhook ${url.href}`);
    if (this.isFailing)
      throw new OperatorError("NOTIFICATION_FAILED", "the webhook responds with status 500");
    const event = ReleaseEvent.parse(JSON.parse(body));
    this.received.push(event);
    const { subject, time, data } = event;
    if (!this.#hadEntry(data.app, subject, time))
      this.premature.push(
        `a webhook was notified at ${time} that ${subject} of ${keyOf(data.app)} is ${data.phase}: it is not`,
      );
  };

  /** Which releases it was notified of, and of which phases; each once. */
  summarize(app: AppPlace): readonly string[] {
    const received = this.received.filter(({ data }) => keyOf(data.app) === keyOf(app));
    const events = received.map(({ subject, data }) => `${subject} ${data.phase}`);
    return [...new Set(events)].toSorted();
  }
}
