import { readFile } from "node:fs/promises";
import { join } from "node:path";

import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";

import { ServerError } from "../../errors.ts";
import type { Model } from "../../inference/model.ts";
import { metadataOf } from "../../protocol/description.ts";
import { compress } from "../compress.ts";
import type { RouteParts } from "../parts.ts";

const FOLDER = join(import.meta.dirname, "..", "..", "page");

const types = {
  css: "text/css; charset=utf-8",
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  svg: "image/svg+xml",
} as const;

const files = [
  "answer.js",
  "api.js",
  "dom.js",
  "form.js",
  "icon.svg",
  "main.js",
  "page.css",
  "paper.js",
  "picture.js",
  "snippets.js",
  "values.js",
] as const;

const headers = {
  // Nothing from elsewhere, nothing inline; pictures and drawings are blobs of the page.
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  // A rollout replaces the page with its server.
  "cache-control": "no-cache",
} as const;

/** A larger sample fills no form. */
const MAX_SAMPLE_CHARACTERS = 256 * 1024;

/** Sends a file of the page. */
export async function sendPage(
  request: FastifyRequest,
  reply: FastifyReply,
  name: "index.html" | (typeof files)[number] = "index.html",
): Promise<FastifyReply> {
  const extension = name.slice(name.lastIndexOf(".") + 1) as keyof typeof types;
  const bytes = await readFile(join(FOLDER, name));
  reply.headers(headers).type(types[extension]);
  return reply.send(await compress(request, reply, bytes));
}

/** `GET /ui`: a page to try the model in a browser, and `/ui/model.json`: what it shows. */
export function pageRoutes(app: FastifyInstance, parts: RouteParts, done: () => void): void {
  const open = { config: { isOpen: true } };
  app.get("/ui", open, (request, reply) => sendPage(request, reply));
  // The page names its files from the folder that it is in.
  app.get("/ui/", open, (_, reply) => reply.redirect("../ui"));
  for (const name of files)
    app.get(`/ui/${name}`, open, (request, reply) => sendPage(request, reply, name));
  app.get("/ui/model.json", (_, reply) => {
    reply.header("cache-control", "no-store");
    const model = parts.model();
    return { ...describeServer(parts), ...(model && describeModel(parts, model)) };
  });
  done();
}

function describeServer({ config, health, versions }: RouteParts): object {
  const { live, ready, reason } = health();
  if (!live) throw new ServerError("NOT_READY", reason ?? "the server must be restarted");
  return {
    name: config.model.name,
    version: config.model.version,
    release: config.release,
    server: versions["server"] ?? "",
    runtime: versions["runtime"] ?? "",
    ready,
  };
}

function describeModel({ config }: RouteParts, model: Model): object {
  const { image, labels, sample } = model.scoring;
  const isShown = sample !== undefined && JSON.stringify(sample).length <= MAX_SAMPLE_CHARACTERS;
  return {
    inputs: metadataOf(config.model, model.signature).inputs,
    hasLabels: labels !== undefined,
    ...(image && { image }),
    ...(isShown && { sample }),
  };
}
