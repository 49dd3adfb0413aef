import { Agent, request as httpRequest } from "node:http";

import sharp from "sharp";

import type { FuzzAnswer } from "./fuzz-answers.testing.ts";
import type { FuzzRequest } from "./fuzz.testing.ts";

const agent = new Agent({ keepAlive: true, maxSockets: 32 });

/** Small pictures in each format that is decoded, and in some that are not. */
export async function picturesOf(): Promise<readonly Buffer[]> {
  const noise = Buffer.from(Array.from({ length: 24 * 24 * 4 }, (_, at) => (at * 97) % 256));
  const image = sharp(noise, { raw: { width: 24, height: 24, channels: 4 } });
  return Promise.all([
    image.clone().png().toBuffer(),
    image.clone().png({ palette: true }).toBuffer(),
    image.clone().removeAlpha().jpeg().toBuffer(),
    image.clone().removeAlpha().jpeg({ progressive: true }).toBuffer(),
    image.clone().webp().toBuffer(),
    image.clone().webp({ lossless: true }).toBuffer(),
    image.clone().gif().toBuffer(),
  ]);
}

/** Rejects where no answer comes at all. */
export async function sendFuzz(port: number, request: FuzzRequest): Promise<FuzzAnswer> {
  const { method, path, headers, body } = request;
  return new Promise((resolve, reject) => {
    const sent = httpRequest(
      {
        agent,
        host: "127.0.0.1",
        port,
        method,
        path,
        headers: { ...headers, "content-length": body.length },
      },
      (response) => {
        let text = "";
        response.setEncoding("latin1");
        response.on("data", (chunk: string) => {
          text += chunk;
        });
        response.once("end", () => resolve({ status: response.statusCode ?? 0, text }));
        response.once("error", reject);
      },
    );
    sent.once("error", reject);
    sent.end(body);
  });
}
