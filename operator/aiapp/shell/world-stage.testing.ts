import type { Phase } from "../../../crds/aiapp/status.ts";
import { verificationName } from "../../../crds/names.ts";
import { kinds } from "../../kube/types.ts";
import { digestOf, World, type SpecInput } from "../observed.testing.ts";
import type { Freeze } from "../release/freeze.ts";
import { phaseOf } from "../release/ledger.ts";
import type { ReleaseRecord } from "../release/record.ts";
import type { PullerSettings } from "../resources/template.ts";
import type { Judges } from "./controllers.testing.ts";
import { modelBytes, modelDigest, type Published } from "./sources.testing.ts";
import type { Stage } from "./stage.testing.ts";

const MAX_ROUNDS = 80;
const ROUND_MS = 10_000;

/** The scenarios of the shell on `World`, which the tests of `plan` use. */
export class WorldStage implements Stage {
  readonly judges: Judges = { verify: () => undefined, serve: () => undefined };
  readonly world: World;
  #published: Published = { image: "image 1", versions: ["1"] };

  constructor(spec: SpecInput) {
    this.world = new World(spec);
    this.world.judge = (record) => this.judges.verify(record);
    this.#poll();
  }

  failWebhook(isFailing: boolean): void {
    this.world.deliveries = { isDelivered: () => !isFailing, failing: [] };
  }

  freeze(freezes: readonly Freeze[]): void {
    this.world.freezes = freezes;
  }

  async pass(ms: number): Promise<void> {
    this.world.now += ms;
  }

  async remove(): Promise<void> {
    throw new TypeError("World has no garbage collector");
  }

  async publish(change: Partial<Published>): Promise<void> {
    this.#published = { ...this.#published, ...change };
    this.#poll();
  }

  async change(spec: SpecInput): Promise<void> {
    this.world.change(spec);
    this.#poll();
  }

  async annotate(name: string, value: string | undefined): Promise<void> {
    this.world.annotate(name, value);
  }

  async upgrade(to: PullerSettings): Promise<void> {
    this.world.puller = to;
    this.world.forget();
    this.#poll();
  }

  async settle(): Promise<void> {
    for (let round = 0; round < MAX_ROUNDS; round += 1) {
      this.#control();
      if (this.world.reconcile().actions.length === 0) {
        this.world.now += 70_000;
        this.#control();
        if (this.world.reconcile().actions.length === 0) return;
      }
      this.world.now += ROUND_MS;
    }
    throw new Error("does not come to rest");
  }

  async until(phase: Phase): Promise<void> {
    const isThere = (): boolean => this.world.records.some((record) => phaseOf(record) === phase);
    for (let round = 0; round < MAX_ROUNDS && !isThere(); round += 1) {
      this.world.reconcile();
      if (!isThere()) this.#control();
    }
  }

  async release(match: (record: ReleaseRecord) => boolean): Promise<ReleaseRecord> {
    return this.world.record(match);
  }

  #poll(): void {
    const { image, versions } = this.#published;
    const { modelVersion } = this.world.app.spec;
    const version = modelVersion === "latest" ? (versions.at(-1) ?? "") : String(modelVersion);
    this.world.publish({
      image: digestOf(image),
      version,
      model: modelDigest(version),
      bytes: modelBytes(version),
    });
    this.world.poll();
  }

  /** What the controllers do. */
  #control(): void {
    const { world } = this;
    world.pods = [];
    for (const set of ["stable", "candidate"] as const) {
      const deployed = world.records.find(({ id }) => id === world.releaseIn(set));
      const crash = deployed && this.judges.serve(deployed);
      if (crash === undefined) world.rollOut(set);
      else {
        world.beginRollout(set);
        world.crash(crash, set);
      }
    }
    if (world.get(kinds.job, verificationName("cats")) !== undefined) world.verify();
  }
}
