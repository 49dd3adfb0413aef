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

/** The response to `POST /score` for one picture: the most likely classes first. */
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
 * Scores one picture on a new connection (a persistent one may lead to a terminating pod), and returns the release that
 * responded.
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
    throw new Error(`POST /score responded with ${response.statusCode}: ${body}`);
  const best = Answer.parse(JSON.parse(body)).result[0][0]?.[0];
  if (best === undefined) throw new Error(`POST /score returned no class: ${body}`);
  return {
    label: best[0],
    percent: best[1],
    release: String(response.headers["aiapp-release"]),
    modelVersion: String(response.headers["aiapp-model-version"]),
  };
}

const IN_ROW = 30;

/**
 * Waits until new connections lead to this release only. kube-proxy needs a second or two for that, and up to a minute
 * after an outage of the API server. Thirty responses in a row are no coincidence, even if one of three endpoints is old.
 * @param ask scores something on a connection of its own
 */
export async function untilServedBy(
  release: string | undefined,
  ask: () => Promise<Scored | undefined>,
  withinMs = 30_000,
): Promise<void> {
  const deadline = Date.now() + withinMs;
  for (let inRow = 0; inRow < IN_ROW;) {
    const scored = await ask();
    inRow = scored?.release === release ? inRow + 1 : 0;
    if (Date.now() > deadline)
      throw new Error(`release ${scored?.release} responds instead of ${release}`);
    await delay(30);
  }
}

/** The share of pictures whose most likely class is their label. */
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
        `measuring the accuracy of version ${modelVersion}, but version ${scored.modelVersion} responded`,
      );
    }
    if (scored.label === picture.label) right += 1;
  }
  return right / pictures.length;
}
