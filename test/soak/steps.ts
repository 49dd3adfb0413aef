import { join } from "node:path";

import type { AIApp } from "../../crds/aiapp/aiapp.ts";
import { expectations, known, models } from "../demo/pictures.ts";
import {
  apply,
  crashesInRollout,
  digits,
  imageOf,
  patch,
  publish,
  serving,
} from "../e2e/harness.ts";
import { condition, isReleased, readApp, waitFor } from "../support/aiapp.ts";
import type { Platform } from "../support/platform.ts";
import { publishWrong } from "../support/publish.ts";
import type { Traffic } from "../traffic/start.ts";

export const NAMESPACE = "soak";
const NAME = "digits";
const WHERE = { namespace: NAMESPACE, name: NAME } as const;
/** Killed leaders and busy machines take their time. */
const PATIENCE_MS = 300_000;

/** Kinds of steps: one good release, and bad ones by what is bad about them. */
export const badKinds = ["model", "image", "rollout", "job"] as const;
export type Kind = "good" | (typeof badKinds)[number];

/** One app, its code image and its model versions, and what is done to them. */
export class Story {
  readonly #platform: Platform;
  #version = 1;
  #load: Traffic | undefined;

  constructor(platform: Platform) {
    this.#platform = platform;
  }

  /** The first release. @returns the app's address */
  async begin(replicas: number): Promise<string | undefined> {
    const platform = this.#platform;
    const spec = { modelVersion: "latest", replicas };
    await apply(platform, digits(platform, NAMESPACE, NAME, spec));
    const app = await serving(platform, NAMESPACE, NAME, "the first release");
    return app.status?.url;
  }

  /** Responses of releases to come are checked by this driver. */
  checkedBy(load: Traffic): void {
    this.#load = load;
  }

  /** Does what the kind says, and waits until the world is right again. @throws when it does not become so */
  async run(kind: Kind): Promise<void> {
    switch (kind) {
      case "good":
        return this.#good();
      case "model":
        return this.#badModel();
      case "image":
        return this.#badImage();
      case "rollout":
        return this.#badRollout();
      case "job":
        return this.#badJob();
    }
  }

  async #good(): Promise<void> {
    const version = await this.#nextVersion();
    await publish(this.#platform, NAMESPACE, version, folderOf(version));
    const isServed = ({ status }: AIApp): boolean => status?.current?.modelVersion === version;
    await this.#until(`version ${version}`, (app) => isReleased(app) && isServed(app));
    await serving(this.#platform, NAMESPACE, NAME, `version ${version}`, isServed);
  }

  async #badModel(): Promise<void> {
    const before = await this.#currentId();
    const version = await this.#nextVersion();
    await publishWrong(this.#platform, NAMESPACE, version, of(version));
    await this.#untilFailed(version, before);
  }

  async #badImage(): Promise<void> {
    const { images, push } = this.#platform;
    const before = await this.#currentId();
    const image = imageOf(this.#platform, NAMESPACE);
    const digest = await push(images.operator, image);
    await this.#until("the failure of the code image", ({ status }) =>
      isFailed(status, before, ({ imageDigest }) => imageDigest === digest),
    );
    await push(images.server, image);
    await this.#until("the good image again", (app) => isReleased(app) && isCurrent(app, before));
  }

  /** Passes its verification, and crashes in its rollout. */
  async #badRollout(): Promise<void> {
    const before = await this.#currentId();
    await this.#patch(crashesInRollout);
    await this.#until(
      "the undo",
      (app) => condition(app, "Stalled")?.reason === "PodCrashing" && isCurrent(app, before),
    );
    await this.#patch({ env: null, podTemplate: null });
    await this.#until("the spec as before", (app) => isReleased(app) && isCurrent(app, before));
  }

  async #badJob(): Promise<void> {
    const before = await this.#currentId();
    const version = await this.#nextVersion();
    const image = imageOf(this.#platform, NAMESPACE);
    await this.#patch({ verify: { job: { image, command: ["node", "-e", "process.exit(7)"] } } });
    await publish(this.#platform, NAMESPACE, version, folderOf(version));
    await this.#untilFailed(version, before);
    await this.#patch({ verify: null });
  }

  async #nextVersion(): Promise<string> {
    this.#version += 1;
    const version = String(this.#version);
    this.#load?.expect({ [version]: { ...known, ...(await expectations())[of(version)] } });
    return version;
  }

  async #currentId(): Promise<string | undefined> {
    return (await readApp(this.#platform, NAMESPACE, NAME)).status?.current?.id;
  }

  #untilFailed(version: string, before: string | undefined): Promise<AIApp> {
    return this.#until(`the failure of version ${version}`, ({ status }) =>
      isFailed(status, before, ({ modelVersion }) => modelVersion === version),
    );
  }

  #until(what: string, check: (app: AIApp) => boolean): Promise<AIApp> {
    return waitFor(this.#platform, WHERE, what, check, PATIENCE_MS);
  }

  #patch(spec: unknown): Promise<void> {
    return patch(this.#platform, NAMESPACE, NAME, spec);
  }
}

/** Versions of the soak are copies of the example's two, in turn. */
function of(version: string): "1" | "2" {
  return Number(version) % 2 === 1 ? "1" : "2";
}

function folderOf(version: string): string {
  return join(models, of(version));
}

function isCurrent({ status }: AIApp, id: string | undefined): boolean {
  return status?.current?.id === id && status?.candidate === undefined;
}

type Status = NonNullable<AIApp["status"]>;

/** The release has failed, and what served before serves. */
function isFailed(
  status: Status | undefined,
  before: string | undefined,
  isBad: (release: NonNullable<Status["history"]>[number]) => boolean,
): boolean {
  const isOver = status?.candidate === undefined && status?.current?.id === before;
  return isOver && status?.history?.some((one) => one.phase === "Failed" && isBad(one)) === true;
}
