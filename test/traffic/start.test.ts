import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { startServer } from "./server.testing.ts";
import { startTraffic } from "./start.ts";
import { Summary } from "./tally.ts";

let folder: string;
let picture: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "aiapp-traffic-"));
  picture = join(folder, "7.png");
  await writeFile(picture, Buffer.alloc(500));
});
afterEach(async () => rm(folder, { recursive: true }));

test("the driver runs as a process, reports snapshots, and ends with a summary", async () => {
  await using server = await startServer(({ answer }) => answer());
  const traffic = startTraffic({ url: server.url, pictures: [picture], rate: 200 });
  await vi.waitFor(() => expect(server.total()).toBeGreaterThan(20), { timeout: 10_000 });
  const snapshot = await traffic.snapshot();
  expect(snapshot.requests).toBeGreaterThan(10);
  const summary = await traffic.stop();
  expect(summary.requests).toBeGreaterThanOrEqual(snapshot.requests);
  expect(summary).toMatchObject({ failed: 0, kinds: { keepAlive: {}, fresh: {} } });
  expect(await traffic.stop()).toEqual(summary);
});

test("expectations can be added while it runs", async () => {
  let release = "aaaa000000";
  await using server = await startServer(({ answer }) =>
    answer({ release, modelVersion: release[0] ?? "" }),
  );
  const traffic = startTraffic({
    url: server.url,
    pictures: [picture],
    rate: 200,
    strict: true,
    expectations: { a: { "*": "7" } },
  });
  await vi.waitFor(() => expect(server.total()).toBeGreaterThan(20), { timeout: 10_000 });
  traffic.expect({ b: { "7.png": "8" } });
  await traffic.snapshot();
  release = "bbbb000000";
  const before = server.total();
  await vi.waitFor(() => expect(server.total()).toBeGreaterThan(before + 10), { timeout: 10_000 });
  const summary = await traffic.stop();
  expect(summary.reasons).toEqual({ WrongAnswer: summary.releases["bbbb000000"]?.requests });
  expect(summary.releases["aaaa000000"]).toMatchObject({ failed: 0 });
});

test("a driver that cannot start reports why when it is stopped", async () => {
  const traffic = startTraffic({ url: "http://127.0.0.1:1/score", pictures: ["/nowhere.png"] });
  await expect(traffic.stop()).rejects.toThrow("/nowhere.png");
});

test("after SIGTERM it finishes requests in flight, writes the summary, and exits with 1 after failures", async () => {
  for (const { broken, status } of [
    { broken: false, status: 0 },
    { broken: true, status: 1 },
  ]) {
    await using server = await startServer(({ answer, socket, total }) => {
      if (broken && total === 5) socket.resetAndDestroy();
      else setTimeout(answer, 20);
    });
    const json = join(folder, "summary.json");
    const child = spawn(
      process.execPath,
      [
        join(import.meta.dirname, "main.ts"),
        "--url",
        server.url,
        "--picture",
        picture,
        "--json",
        json,
      ],
      { stdio: ["ignore", "ignore", "inherit"] },
    );
    const exit = once(child, "exit");
    await vi.waitFor(() => expect(server.total()).toBeGreaterThan(20), { timeout: 10_000 });
    child.kill("SIGTERM");
    expect((await exit)[0]).toBe(status);
    const summary = Summary.parse(JSON.parse(await readFile(json, "utf8")));
    expect(summary.requests).toBe(server.total());
    expect(summary.failed).toBe(broken ? 1 : 0);
  }
});
