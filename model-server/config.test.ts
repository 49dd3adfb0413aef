import { expect, test } from "vitest";

import { readConfig } from "./config.ts";

test.each([{ PORT: "9000", METRICS_PORT: "9000" }, { PORT: "9090" }, { METRICS_PORT: "8080" }])(
  "one port for requests and metrics is refused by name: %j",
  (environment) => {
    expect(() => readConfig(environment)).toThrow(
      expect.objectContaining({
        code: "CONFIG_INVALID",
        message: expect.stringMatching(/is the same as PORT: metrics need .+→ at METRICS_PORT/s),
      }),
    );
  },
);

test("any free port may be configured twice", () => {
  expect(readConfig({ PORT: "0", METRICS_PORT: "0" })).toMatchObject({ port: 0, metricsPort: 0 });
});
