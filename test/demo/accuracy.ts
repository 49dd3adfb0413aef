import { once } from "node:events";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { text } from "node:stream/consumers";
import { setTimeout as delay } from "node:timers/promises";

import { z } from "zod";

/** A held-out picture and the digit that it shows. */
export interface LabelledPicture {
  readonly label: string;
  readonly png: Uint8Array<ArrayBuffer>;
}

/** `POST /score`'s answer for one picture: the likeliest classes first. */
const Answer = z.object({
  result: z.tuple([z.array(z.array(z.tuple([z.string(), z.number()]))), z.string()]),
});

export interface Scored {
  readonly label: string;
  readonly percent: number;
  readonly release: string;
  readonly modelVersion: string;
}

/**
 * Scores one picture through the address, on a connection of its own (a kept one may lead to a pod that is leaving), and
 * says which release answered.
 */
export async function score(
  url: string,
  png: Uint8Array<ArrayBuffer>,
  signal: AbortSignal,
): Promise<Scored> {
  const request = httpRequest(new URL("/score", url), {
    method: "POST",
    headers: { "content-type": "image/png", "content-length": png.length },
    agent: false,
    signal: AbortSignal.any([signal, AbortSignal.timeout(15_000)]),
  });
  request.end(png);
  const [response] = (await once(request, "response")) as [IncomingMessage];
  const body = await text(response);
  if (response.statusCode !== 200)
    throw new Error(`POST /score answered ${response.statusCode}: ${body}`);
  const best = Answer.parse(JSON.parse(body)).result[0][0]?.[0];
  if (best === undefined) throw new Error(`POST /score named no class: ${body}`);
  return {
    label: best[0],
    percent: best[1],
    release: String(response.headers["aiapp-release"]),
    modelVersion: String(response.headers["aiapp-model-version"]),
  };
}

const IN_ROW = 30;

/**
 * The proxies of the nodes follow within a second or two, after an outage of the API server within a minute: until new connections lead to this release only. Thirty in a row
 * are no accident, also while one endpoint of three is an old one.
 * @param ask scores something on a connection of its own
 */
export async function answeredBy(
  release: string | undefined,
  ask: () => Promise<Scored | undefined>,
  withinMs = 30_000,
): Promise<void> {
  const deadline = Date.now() + withinMs;
  for (let inRow = 0; inRow < IN_ROW;) {
    const scored = await ask();
    inRow = scored?.release === release ? inRow + 1 : 0;
    if (Date.now() > deadline)
      throw new Error(`release ${release} does not answer, but ${scored?.release}`);
    await delay(30);
  }
}

/** The share of pictures whose likeliest class is their label, as scored through the address. */
export async function accuracy(
  url: string,
  pictures: readonly LabelledPicture[],
  modelVersion: string,
  signal: AbortSignal,
): Promise<number> {
  let right = 0;
  for (const picture of pictures) {
    const scored = await score(url, picture.png, signal);
    if (scored.modelVersion !== modelVersion) {
      throw new Error(
        `asked for the accuracy of version ${modelVersion}, but version ${scored.modelVersion} answered`,
      );
    }
    if (scored.label === picture.label) right += 1;
  }
  return right / pictures.length;
}
