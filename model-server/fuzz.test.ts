import * as fc from "fast-check";
import { expect, onTestFinished, test } from "vitest";

import { sendFuzz, picturesOf } from "./fuzz-client.testing.ts";
import { faultOf } from "./fuzz-answers.testing.ts";
import { targets, type FuzzTarget } from "./fuzz-targets.testing.ts";
import { requestsTo } from "./fuzz.testing.ts";
import { callFaultOf, fuzzCalls, openFuzzSession } from "./grpc/fuzz.testing.ts";
import { serve } from "./serve.testing.ts";

/** `npm run fuzz -- server` sends a million. */
const RUNS = 1500;

test.each(Object.keys(targets) as FuzzTarget[])(
  "malformed requests of %s get a 4xx that says why, and no path",
  { timeout: 120_000 },
  async (target) => {
    const server = await serve(targets[target]);
    await server.loaded;
    const pictures = await picturesOf();
    await fc.assert(
      fc.asyncProperty(requestsTo(target, pictures), async (request) => {
        const answer = await sendFuzz(server.port, request);
        expect(faultOf(answer, request.path + request.body.toString())).toBe(undefined);
      }),
      { numRuns: RUNS },
    );
  },
);

test("malformed calls of gRPC get a status that says why, and no path", async () => {
  const server = await serve(targets.tensors, { GRPC_PORT: "0" });
  await server.loaded;
  const session = openFuzzSession(server.grpcPort ?? 0);
  onTestFinished(() => session.close());
  await fc.assert(
    fc.asyncProperty(fuzzCalls, async (call) => {
      expect(callFaultOf(await session.send(call))).toBe(undefined);
    }),
    { numRuns: RUNS },
  );
});

test.each([
  [{ code: 13, http: 200, message: "a fault" }, "the status is INTERNAL: a fault"],
  [{ code: undefined, http: 500, message: "" }, "the status is 500"],
  [{ code: 3, http: 200, message: "cannot open /tmp/x/model.onnx" }, "the message has /tmp"],
])("a status like %j is a fault: %s", (answer, fault) => {
  expect(callFaultOf(answer)).toBe(fault);
});

test.each([
  [{ status: 500, text: '{"error": "a fault inside"}' }, "the status is 500"],
  [{ status: 400, text: "<html>" }, "the body is not JSON"],
  [{ status: 400, text: '{"error": ""}' }, "the body has no error that says why"],
  [{ status: 400, text: '{"error": "cannot open /tmp/x/model.onnx"}' }, "the message has /tmp"],
  [{ status: 400, text: '{"error": "ops.cc:692 Compute failed"}' }, "the message has s.cc:692"],
])("an answer like %j is a fault: %s", (answer, fault) => {
  expect(faultOf(answer)).toBe(fault);
});
