import { ReleaseEvent } from "../../../crds/notification.ts";
import { OperatorError } from "../../errors.ts";
import type { ReleaseRecord } from "../release/record.ts";
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

  readonly #journals: () => Promise<readonly ReleaseRecord[]>;

  constructor(journals: () => Promise<readonly ReleaseRecord[]>) {
    this.#journals = journals;
  }

  readonly send: SendWebhook = async ({ url, body }) => {
    if (url.href !== WEBHOOK_URL) throw new TypeError(`unexpected webhook ${url.href}`);
    if (this.isFailing)
      throw new OperatorError("NOTIFICATION_FAILED", "the webhook responds with status 500");
    const event = ReleaseEvent.parse(JSON.parse(body));
    this.received.push(event);
    const { subject, time, data } = event;
    const record = (await this.#journals()).find(({ id }) => id === subject);
    if (record?.journal.some(({ at }) => at === time) !== true)
      this.premature.push(`a webhook was notified that ${subject} is ${data.phase}: it is not`);
  };

  /** Which releases it was notified of, and of which phases; each once. */
  summarize(): readonly string[] {
    const events = this.received.map(({ subject, data }) => `${subject} ${data.phase}`);
    return [...new Set(events)].toSorted();
  }
}
