import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isDeepStrictEqual, parseArgs } from "node:util";

import { startKserve } from "../peers/kserve.ts";
import { startMlserver } from "../peers/mlserver.ts";
import type { Peer, PeerOptions } from "../peers/peer.ts";
import { versionOf } from "../peers/python.ts";
import { send, type Answer } from "./answer.ts";
import { callAll } from "./client.ts";
import { models, peerNames, type PeerName } from "./models.ts";
import { Recorded, readRecorded, writeRecorded, type Calls } from "./record.ts";
import { rows } from "./rows.ts";

/**
 * `npm run differential [-- --record]`: sends the requests of `rows.ts` and the calls of `client.py` to the real servers, and
 * compares what they answer with `answers.json`, which the contract tests compare the model server with. Exits 1 when an
 * answer has changed, and writes it with `--record`.
 */

const start: Readonly<Record<PeerName, (options: PeerOptions) => Promise<Peer>>> = {
  mlserver: startMlserver,
  kserve: startKserve,
};

interface PeerAnswers {
  readonly answers: Readonly<Record<string, Answer>>;
  readonly calls: Calls;
}

async function answersOf(name: PeerName, files: PeerOptions["models"]): Promise<PeerAnswers> {
  console.error(`${name}: installing unless it is in the cache …`);
  const peer = await start[name]({ models: files, workers: 1 });
  try {
    const answers: Record<string, Answer> = {};
    for (const { title, request } of rows) answers[title] = await send(peer.url, request);
    return { answers, calls: await callAll(peer.url.replace("http://", ""), peer.grpc) };
  } finally {
    await peer.close();
  }
}

async function recordAll(folder: string): Promise<Recorded> {
  const files: Record<string, string> = {};
  for (const [name, bundle] of Object.entries(models)) {
    const file = join(folder, `${name}.onnx`);
    const bytes = bundle["model.onnx"];
    if (!(bytes instanceof Uint8Array)) throw new TypeError(`${name} has no model`);
    await writeFile(file, bytes);
    files[name] = file;
  }
  const found: Record<string, PeerAnswers> = {};
  const versions: Record<string, string> = {};
  for (const name of peerNames) {
    found[name] = await answersOf(name, files);
    versions[name] = await versionOf(name);
  }
  return Recorded.parse({
    versions,
    calls: Object.fromEntries(peerNames.map((name) => [name, found[name]?.calls])),
    answers: Object.fromEntries(
      rows.map(({ title }) => [
        title,
        Object.fromEntries(peerNames.map((name) => [name, found[name]?.answers[title]])),
      ]),
    ),
  });
}

/** One line for each answer that is no longer the recorded one. */
function changes(before: Recorded, now: Recorded): readonly string[] {
  const titles = new Set([...Object.keys(before.answers), ...Object.keys(now.answers)]);
  const lines: string[] = [];
  for (const name of peerNames) {
    for (const title of titles) {
      const [was, is] = [before.answers[title]?.[name], now.answers[title]?.[name]];
      if (!isDeepStrictEqual(was, is))
        lines.push(`${name}: ${title}: ${JSON.stringify(was)} is now ${JSON.stringify(is)}`);
    }
    if (!isDeepStrictEqual(before.calls[name], now.calls[name]))
      lines.push(`${name}: its answers to tritonclient have changed`);
  }
  return lines;
}

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { record: { type: "boolean", default: false } } });
  const folder = await mkdtemp(join(tmpdir(), "aiapp-differential-"));
  try {
    const now = await recordAll(folder);
    if (values.record) {
      await writeRecorded(now);
      return 0;
    }
    const lines = changes(await readRecorded(), now);
    for (const line of lines) console.log(line);
    console.log(
      `${rows.length} requests to ${peerNames.join(" and ")}: ${lines.length} changes since they were recorded`,
    );
    return lines.length === 0 ? 0 : 1;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

process.exitCode = await main();
