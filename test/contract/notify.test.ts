import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";

import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { OperatorError } from "../../operator/errors.ts";
import { createWebhookSender, type SendWebhook } from "../../operator/notify/webhook.ts";
import { createAgents, type HostPolicy } from "../../operator/sources/hosts.ts";

/** Webhooks over real HTTP, on loopback. */

const PATH = "/services/T000/secret-path?sig=secret-query";

interface Received {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly contentType: string | undefined;
  readonly body: string;
}

let server: Server;
let origin: string;
let received: Received[];
let respond: (request: IncomingMessage, response: ServerResponse) => void;

beforeEach(async () => {
  received = [];
  server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const { method, url, headers } = request;
      const body = Buffer.concat(chunks).toString();
      received.push({ method, url, contentType: headers["content-type"], body });
      respond(request, response);
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const address = server.address();
  origin = `127.0.0.1:${typeof address === "object" ? address?.port : ""}`;
});
afterEach(() => {
  server.closeAllConnections();
  server.close();
});

function sender(policy: Partial<HostPolicy> = {}): SendWebhook {
  const whole = { insecureHosts: new Set([origin]), allowLoopback: true, ...policy };
  return createWebhookSender(whole, createAgents(whole));
}

/** The error with which a request fails; undefined when the webhook takes it. */
async function send(
  by = sender(),
  {
    url = `http://${origin}${PATH}`,
    signal = new AbortController().signal,
  }: { readonly url?: string; readonly signal?: AbortSignal } = {},
): Promise<unknown> {
  const headers = { "content-type": "application/json", authorization: "Bearer secret-token" };
  return by({ url: new URL(url), headers, body: '{"a":"ä"}' }, signal).catch(
    (error: unknown) => error,
  );
}

function textOf(error: unknown): string {
  if (!(error instanceof OperatorError)) throw new TypeError(`not our error: ${String(error)}`);
  return `${error.code}: ${error.message}`;
}

describe("a webhook", () => {
  it.each([200, 201, 202, 204])("takes a notification with status %i", async (status) => {
    respond = (_, response) => response.writeHead(status).end();
    expect(await send()).toBeUndefined();
    expect(received).toEqual([
      { method: "POST", url: PATH, contentType: "application/json", body: '{"a":"ä"}' },
    ]);
  });

  it.each([
    [400, "rejects the notification"],
    [401, "denies access"],
    [404, "no longer exists"],
    [410, "no longer exists"],
    [500, "responds with status 500"],
    [503, "responds with status 503"],
  ])("with status %i %s", async (status, what) => {
    respond = (request, response) => response.writeHead(status).end(`no: ${request.url}`);
    expect(textOf(await send())).toContain(`NOTIFICATION_FAILED: the webhook ${what}`);
  });

  it("that throttles is given the time that it asks for, ten minutes at most", async () => {
    respond = (_, response) => response.writeHead(429, { "retry-after": "30" }).end();
    expect(await send()).toMatchObject({ retryAfterMs: 30_000 });
    respond = (_, response) => response.writeHead(503, { "retry-after": "86400" }).end();
    expect(await send()).toMatchObject({ retryAfterMs: 600_000 });
  });

  it("that redirects is not followed", async () => {
    respond = (_, response) =>
      response.writeHead(307, { location: `http://${origin}/other` }).end();
    expect(textOf(await send())).toContain("redirects (status 307)");
    expect(received).toHaveLength(1);
  });

  it("that hangs, before or after its status, holds nothing up", async () => {
    respond = () => {};
    const reason = new DOMException("too late", "TimeoutError");
    const abort = new AbortController();
    const sending = send(sender(), { signal: abort.signal });
    await expect.poll(() => received.length).toBe(1);
    abort.abort(reason);
    expect(await sending).toBe(reason);
    respond = (_, response) => void response.writeHead(200).write("and then nothing");
    expect(await send()).toBeUndefined();
  });

  it("that cannot be reached gives the kind of the error", async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    expect(textOf(await send())).toContain("cannot be reached (ECONNREFUSED)");
  });
});

describe("a host that is not allowed", () => {
  it("is not contacted: loopback, a network of the operator's deniedNetworks, and no TLS", async () => {
    respond = (_, response) => response.end();
    const errors = [
      await send(sender({ allowLoopback: false })),
      await send(sender({ deniedNetworks: ["127.0.0.0/8"] })),
      await send(sender({ insecureHosts: new Set() })),
      await send(sender({ insecureHosts: new Set(["169.254.169.254"]) }), {
        url: "http://169.254.169.254/latest",
      }),
      await send(sender({ allowLoopback: false, insecureHosts: new Set([`localhost:1`]) }), {
        url: "http://localhost:1/x",
      }),
    ];
    expect(errors.map(textOf)).toEqual(
      errors.map(() => expect.stringMatching(/^HOST_NOT_ALLOWED: /)),
    );
    expect(received).toEqual([]);
  });
});

describe("errors", () => {
  it("name neither the URL nor its host nor a token", async () => {
    const texts: string[] = [];
    for (const status of [302, 400, 401, 404, 418, 429, 500]) {
      respond = (request, response) =>
        response.writeHead(status, { location: request.url }).end(request.headers.authorization);
      texts.push(textOf(await send()));
    }
    respond = (_, response) => void response.destroy();
    texts.push(textOf(await send()));
    texts.push(textOf(await send(sender({ allowLoopback: false }))));
    texts.push(textOf(await send(sender(), { url: "https://no-such-host.invalid/secret" })));
    texts.push(textOf(await send(sender(), { url: `https://${origin}/secret` })));
    expect(
      texts.filter((text) => /secret-|127\.0\.0\.1|invalid\/|no-such-host/.test(text)),
    ).toEqual([]);
  });
});
