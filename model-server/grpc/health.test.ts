import { EventEmitter } from "node:events";

import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { readConfig } from "../config.ts";
import { createLogger } from "../log.ts";
import { healthService } from "./health.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test("a watcher gets each change once, and nothing once it has gone", () => {
  let ready = false;
  const parts = {
    config: readConfig({}),
    log: createLogger("silent"),
    health: () => ({ ready, live: true }),
  };
  const seen: string[] = [];
  const call = Object.assign(new EventEmitter(), {
    request: { service: "" },
    write: (message: { readonly status: string }) => seen.push(message.status),
    end: () => seen.push("ended"),
  });
  const watch = healthService(parts, [])["Watch"];
  if (watch === undefined) throw new Error("there is no Watch");
  Reflect.apply(watch, undefined, [call]);
  vi.advanceTimersByTime(5000);
  expect(seen).toEqual(["NOT_SERVING"]);
  ready = true;
  vi.advanceTimersByTime(5000);
  expect(seen).toEqual(["NOT_SERVING", "SERVING"]);
  call.emit("cancelled");
  ready = false;
  vi.advanceTimersByTime(5000);
  expect(seen).toEqual(["NOT_SERVING", "SERVING", "ended"]);
});
