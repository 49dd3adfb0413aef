import fastify from "fastify";

import { createBudget } from "../../model-server/budget.ts";
import { readBody } from "../../model-server/http/body.ts";

/** `node empty.ts PORT BYTES`: the model server's HTTP stack, and nothing behind it. */
const [port, bytes] = process.argv.slice(2).map(Number);
const app = fastify({ logger: false });
const limits = { maxBytes: 64 * 1024 * 1024, budget: createBudget(256 * 1024 * 1024) };
const answer = Buffer.alloc(bytes ?? 0);
app.removeAllContentTypeParsers();
app.addContentTypeParser("*", (_, __, done) => done(null));
app.get("/", () => "ready");
app.post("/*", async (request, reply) => {
  await readBody(request.raw, reply.raw, limits);
  return reply.type("application/octet-stream").send(answer);
});
await app.listen({ host: "127.0.0.1", port: port ?? 0 });
