import type { NotificationTarget } from "../../crds/aiapp/notifications.ts";
import { CONTENT_TYPE, type ReleaseEvent } from "../../crds/notification.ts";
import { slackMessage } from "./slack.ts";
import { teamsMessage } from "./teams.ts";
import type { WebhookRequest } from "./webhook.ts";

/** What a webhook of each type gets. An event that is sent again has the same Idempotency-Key. */
export function requestFor(
  type: NotificationTarget["type"],
  event: ReleaseEvent,
  url: URL,
  token: string | undefined,
): WebhookRequest {
  const key = { "user-agent": "aiapp-operator", "idempotency-key": `${event.source}/${event.id}` };
  const json = { ...key, "content-type": "application/json" };
  switch (type) {
    case "Generic": {
      const authorization = token === undefined ? {} : { authorization: `Bearer ${token}` };
      const headers = { ...key, "content-type": CONTENT_TYPE, ...authorization };
      return { url, headers, body: JSON.stringify(event) };
    }
    case "Slack":
      return { url, headers: json, body: JSON.stringify(slackMessage(event.data)) };
    case "Teams":
      return { url, headers: json, body: JSON.stringify(teamsMessage(event.data)) };
  }
}
