import type { ReleaseNotice } from "../../crds/notification.ts";
import { factsOf } from "./facts.ts";

/**
 * A message of a Teams webhook (Workflows): one Adaptive Card. Texts are in text runs, which have no markdown: they
 * neither mention people nor link.
 */
export function teamsMessage(notice: ReleaseNotice): {
  readonly type: "message";
  readonly attachments: readonly unknown[];
} {
  const paragraph = (...inlines: readonly unknown[]): unknown => ({
    type: "RichTextBlock",
    inlines,
  });
  const run = (text: string, style: object = {}): unknown => ({ type: "TextRun", text, ...style });
  const color = colors[notice.phase] ?? "default";
  return {
    type: "message",
    attachments: [
      {
        contentType: "application/vnd.microsoft.card.adaptive",
        content: {
          $schema: "http://adaptivecards.io/schemas/adaptive-card.json",
          type: "AdaptiveCard",
          version: "1.4",
          body: [
            paragraph(run(notice.summary, { weight: "bolder", color })),
            ...factsOf(notice).map(({ title, value }) =>
              paragraph(run(`${title}: `, { isSubtle: true }), run(value)),
            ),
          ],
        },
      },
    ],
  };
}

const colors: Partial<Record<ReleaseNotice["phase"], string>> = {
  Released: "good",
  Failed: "attention",
  AwaitingApproval: "warning",
};
