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

test.each([
  ["PORT", ""],
  ["PORT", " "],
  ["PORT", "80.5"],
  ["PORT", "1e3"],
  ["METRICS_PORT", ""],
  ["WORKERS", ""],
  ["MAX_QUEUE", "-1"],
])(
  "a variable that is no number is rejected by its name, and none becomes 0: %s=%j",
  (name, value) => {
    expect(() => readConfig({ [name]: value })).toThrow(
      expect.objectContaining({
        code: "CONFIG_INVALID",
        message: expect.stringMatching(new RegExp(`must be a whole number.*→ at ${name}$`, "s")),
      }),
    );
  },
);

test.each(["1\n2", "1\r\nSet-Cookie: a=b", "a\0b", "ü", " 1", "x".repeat(1025)])(
  "a version or release that is no header is rejected: %j",
  (value) => {
    for (const name of ["MODEL_VERSION", "AIAPP_RELEASE"])
      expect(() => readConfig({ [name]: value })).toThrow(
        expect.objectContaining({
          code: "CONFIG_INVALID",
          message: expect.stringMatching(new RegExp(`→ at ${name}$`)),
        }),
      );
  },
);

test.each(["", "7", "2026-01-01", "release 7 (blue)"])(
  "a version or release of printable ASCII is taken: %j",
  (value) => {
    expect(readConfig({ MODEL_VERSION: value, AIAPP_RELEASE: value })).toMatchObject({
      model: { version: value },
      release: value,
    });
  },
);

test("an execution provider that is not known is rejected with those that are", () => {
  expect(() => readConfig({ EXECUTION_PROVIDER: "gpu" })).toThrow(
    expect.objectContaining({ message: expect.stringMatching(/"cpu"\|"cuda"/) }),
  );
});

test.each([
  { GRPC_PORT: "8080" },
  { GRPC_PORT: "9090" },
  { GRPC_PORT: "8081", METRICS_PORT: "8081" },
])("a port for two things is rejected: %j", (environment) => {
  expect(() => readConfig(environment)).toThrow(
    expect.objectContaining({
      code: "CONFIG_INVALID",
      message: expect.stringMatching(/GRPC_PORT/),
    }),
  );
});

test("gRPC is off unless it has a port, which may be any free one", () => {
  expect(readConfig({}).grpcPort).toBeUndefined();
  const free = { PORT: "0", METRICS_PORT: "0", GRPC_PORT: "0" };
  expect(readConfig(free).grpcPort).toBe(0);
});

test.each([".", "..", "stats", "a\ud800"])(
  "a model's name that clients would get another answer for is rejected: %j",
  (name) => {
    expect(() => readConfig({ MODEL_NAME: name })).toThrow(
      expect.objectContaining({
        code: "CONFIG_INVALID",
        message: expect.stringMatching(/[Ss]et another MODEL_NAME.*→ at MODEL_NAME$/s),
      }),
    );
  },
);

test.each(["stats/1", "...", "org/resnet", "größer 100 %", "x".repeat(253)])(
  "any other name of a model is taken: %j",
  (name) => {
    expect(readConfig({ MODEL_NAME: name }).model.name).toBe(name);
  },
);

test("links of a bundle are followed only where the caller says so, which a container's server does not", () => {
  expect(readConfig({}).model.links).toBe("refuse");
  expect(readConfig({}, "follow").model.links).toBe("follow");
});
