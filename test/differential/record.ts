import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { z } from "zod";

import { peerNames } from "./models.ts";

const file = join(import.meta.dirname, "answers.json");

const Tensor = z.object({
  name: z.string(),
  datatype: z.string(),
  shape: z.array(z.number()),
  data: z.array(z.unknown()),
  raw: z.literal(true).exactOptional(),
});
const Answer = z.object({
  status: z.number(),
  body: z.unknown().exactOptional(),
  outputs: z.array(Tensor).exactOptional(),
  id: z.string().exactOptional(),
  broken: z.string().exactOptional(),
  hasError: z.boolean().exactOptional(),
});

const perPeer = <T extends z.ZodType>(type: T) => z.record(z.enum(peerNames), type);
/** Whether each call of tritonclient did what it is for, by HTTP and by gRPC. */
export const Calls = z.object({
  HTTP: z.record(z.string(), z.boolean()),
  gRPC: z.record(z.string(), z.boolean()),
});
export type Calls = z.infer<typeof Calls>;

/** What the other servers answered when `npm run differential -- --record` last ran. */
export const Recorded = z.object({
  versions: perPeer(z.string()),
  calls: perPeer(Calls),
  answers: z.record(z.string(), perPeer(Answer)),
});
export type Recorded = z.infer<typeof Recorded>;

export async function readRecorded(): Promise<Recorded> {
  return Recorded.parse(JSON.parse(await readFile(file, "utf8")));
}

/** One line a server and request, so that a change is one line. */
export async function writeRecorded({ versions, calls, answers }: Recorded): Promise<void> {
  const lines = (fields: object, indent: string): string =>
    Object.entries(fields)
      .map(([name, value]) => `${indent}${JSON.stringify(name)}: ${JSON.stringify(value)}`)
      .join(",\n");
  const rows = Object.entries(answers).map(
    ([title, byPeer]) => `    ${JSON.stringify(title)}: {\n${lines(byPeer, "      ")}\n    }`,
  );
  await writeFile(
    file,
    `{\n  "versions": ${JSON.stringify(versions)},\n  "calls": {\n${lines(calls, "    ")}\n  },\n  "answers": {\n${rows.join(",\n")}\n  }\n}\n`,
  );
}
