import { setTimeout as delay } from "node:timers/promises";

import { annotations } from "../crds/names.ts";
import { pictureFiles } from "../test/demo/pictures.ts";
import { isReleased, patchSpec, waitFor } from "../test/support/aiapp.ts";
import type { Platform } from "../test/support/platform.ts";
import { startTraffic } from "../test/traffic/start.ts";
import { atMost, quantile, reported, type Figure } from "./figures.ts";
import { publish, startApp, versionAt } from "./release.ts";
import { NAMESPACE, withTenant } from "./tenant.ts";

/**
 * Going back with two sets of pods: from `kubectl annotate … aiapp.dev/hold` to the last response of the release before, on
 * new connections, under traffic. To and fro between two releases, so that each hold is an undo of the one before.
 */
export interface UndoOptions {
  readonly undos: number;
}

const APP = { namespace: NAMESPACE, name: "undo" } as const;
const RATE = 40;
/** So many responses in a row on new connections: none goes to the other release any more. */
const IN_ROW = 10;
const GIVE_UP_MS = 30_000;

interface Undo {
  /** Milliseconds to the first response of the release that is gone back to. */
  readonly first: number;
  /** Milliseconds to the first of the responses in a row. */
  readonly all: number;
}

async function released(platform: Platform, modelVersion: string): Promise<string> {
  const { status } = await waitFor(
    platform,
    APP,
    `model version ${modelVersion}`,
    (app) => isReleased(app) && app.status?.current?.modelVersion === modelVersion,
  );
  return status?.current?.id ?? "";
}

async function measureUndo(
  platform: Platform,
  url: string,
  { id, modelVersion }: { readonly id: string; readonly modelVersion: string },
): Promise<Undo> {
  const began = performance.now();
  // prettier-ignore
  const annotated = platform.kubectl(["annotate", "aia", APP.name, "--namespace", NAMESPACE, "--overwrite", `${annotations.hold}=${id}`]);
  let first: number | undefined;
  let all = 0;
  for (let inRow = 0; inRow < IN_ROW;) {
    const now = performance.now() - began;
    const isNew = (await versionAt(url))?.model.version === modelVersion;
    if (isNew) first ??= now;
    if (isNew && inRow === 0) all = now;
    inRow = isNew ? inRow + 1 : 0;
    if (now > GIVE_UP_MS) throw new Error(`model version ${modelVersion} does not answer`);
    await delay(10);
  }
  await annotated;
  return { first: first ?? all, all };
}

export function run({ undos }: UndoOptions): Promise<readonly Figure[]> {
  return withTenant(async (platform) => {
    await platform.push(platform.images.server, `${platform.registry}/bench:1`);
    for (const version of [1, 2]) await publish(platform, APP.name, version);
    const rollout = { strategy: "BlueGreen", keepPrevious: "1h" };
    const url = await startApp(platform, APP, { model: APP.name, rollout });
    const one = await released(platform, "1");
    await patchSpec(platform, APP, { modelVersion: "2" });
    const two = await released(platform, "2");
    const traffic = startTraffic({ url: `${url}/score`, pictures: pictureFiles, rate: RATE });
    const found: Undo[] = [];
    try {
      for (let undo = 0; undo < undos; undo += 1) {
        const to = undo % 2 === 0 ? { id: one, modelVersion: "1" } : { id: two, modelVersion: "2" };
        found.push(await measureUndo(platform, url, to));
        await waitFor(
          platform,
          APP,
          "the held release",
          (app) => app.status?.current?.id === to.id,
        );
      }
    } finally {
      await traffic.stop();
    }
    const { requests, failed } = await traffic.stop();
    const first = found.map((undo) => undo.first / 1000);
    const all = found.map((undo) => undo.all / 1000);
    return [
      reported("undos", undos, ""),
      reported("first response of the release before, half within", quantile(first, 0.5), "s"),
      reported("  99 % within", quantile(first, 0.99), "s"),
      reported("every response of the release before, half within", quantile(all, 0.5), "s"),
      atMost("  99 % within", quantile(all, 0.99), "s", 1),
      reported("requests meanwhile", requests, ""),
      atMost("failed requests", failed, "", 0),
    ];
  });
}
