import { expect, it } from "vitest";

import { ManualClock } from "../clock.testing.ts";
import { createLogger } from "../log.ts";
import { createMetrics } from "../metrics.ts";
import { createPoller } from "./poller.ts";
import type { ModelSeen, Source } from "./source.ts";

function model(key: string, answer: () => Promise<ModelSeen>): Source<ModelSeen> {
  return { key, kind: "model", host: `${key}.example`, login: "anonymous", poll: answer };
}

it("a scrape counts sources by state, and says when the last and the oldest check succeeded", async () => {
  const clock = new ManualClock();
  const start = clock.now() / 1000;
  const metrics = createMetrics();
  const poller = createPoller({ clock, log: createLogger("silent"), metrics, onChange: () => {} });
  const seen: ModelSeen = { kind: "model", version: "7", digest: "a", etag: undefined, bytes: 1 };
  const well = model("well", () => Promise.resolve(seen));
  let isLost = false;
  const lost = model("lost", () =>
    isLost ? Promise.reject(new Error("lost")) : Promise.resolve(seen),
  );
  const slow = model("slow", () => new Promise(() => {}));
  poller.subscribe(
    "shop/a",
    [well, lost, slow].map((source) => ({ source, intervalMs: 60_000 })),
  );
  await clock.advance(0);
  isLost = true;
  await clock.advance(60_000);
  const text = await metrics.registry.metrics();
  for (const line of [
    'aiapp_sources{source="model",state="failing"} 1',
    'aiapp_sources{source="model",state="ok"} 1',
    'aiapp_sources{source="model",state="pending"} 1',
    'aiapp_sources{source="image",state="ok"} 0',
    `aiapp_source_oldest_check_timestamp_seconds{source="model"} ${start}`,
    `aiapp_source_last_check_timestamp_seconds{source="model"} ${start + 60}`,
  ])
    expect(text.split("\n")).toContain(line);
  expect(text).not.toContain('aiapp_source_last_check_timestamp_seconds{source="image"}');
});
