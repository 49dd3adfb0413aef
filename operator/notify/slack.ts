import type { ReleaseNotice } from "../../crds/notification.ts";
import { factsOf } from "./facts.ts";

/**
 * A message of a Slack incoming webhook: `text` for notifications, `blocks` for the channel. Texts of users and containers
 * are plain text in blocks, and escaped elsewhere: they neither mention people nor link.
 */
export function slackMessage(notice: ReleaseNotice): {
  readonly text: string;
  readonly blocks: readonly unknown[];
} {
  const plain = (text: string): unknown => ({ type: "plain_text", text, emoji: false });
  return {
    text: escape(notice.summary),
    blocks: [
      { type: "section", text: plain(notice.summary) },
      ...factsOf(notice).map(({ title, value }) => ({
        type: "context",
        elements: [plain(`${title}: ${value}`)],
      })),
    ],
  };
}

/** https://docs.slack.dev/messaging/formatting-message-text: the three characters that begin markup. */
function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
