import { randomOf } from "../../random.testing.ts";
import { annotations } from "../../../crds/names.ts";
import { digestOf, puller } from "../observed.testing.ts";
import { kinds } from "../../kube/types.ts";
import { phaseOf } from "../release/ledger.ts";
import type { ReleaseRecord } from "../release/record.ts";
import { keyOf, type StagedApp } from "./staged-app.testing.ts";
import { notifications, ShellStage } from "./stage.testing.ts";

/** A simulation of apps over a long time. The same seed gives the same one. */
export interface SimulationOptions {
  readonly seed: number;
  /** How many follow the same image and the same model; 1 when not given. */
  readonly apps?: number;
  /** Of virtual time. */
  readonly hours: number;
}

export interface SimulationReport {
  /** What happened, one line each. */
  readonly events: readonly string[];
  readonly writes: number;
  /** Broken invariants, and errors of reconciles that only a mistake explains. */
  readonly problems: readonly string[];
  /** The newest good release of each app serves in the end. */
  readonly isConverged: boolean;
}

/** Between two events, on average. */
const MEAN_MS = 10 * 60_000;
const HOUR_MS = 3_600_000;
const BAD = "VerificationFailed: result[0]: expected 1, got 2";
const CRASH = "Error: cannot serve";

const lagging = [kinds.controllerRevision, kinds.job, kinds.deployment, kinds.pod];

export async function simulate({
  seed,
  hours,
  apps = 1,
}: SimulationOptions): Promise<SimulationReport> {
  const simulation = new Simulation(
    await ShellStage.open({ replicas: 2, interval: "2m", notifications }, apps),
    randomOf(seed),
  );
  return simulation.run(hours * HOUR_MS);
}

type Step = () => Promise<string>;

class Simulation {
  readonly #stage: ShellStage;
  readonly #random: () => number;
  readonly #events: string[] = [];
  /** Halves that are bad by themselves, and pairs that are bad only together. */
  readonly #bad = new Set<string>();
  #images = 1;
  #version = 1;
  #tokens = 0;
  #isFrozen = false;

  constructor(stage: ShellStage, random: () => number) {
    this.#stage = stage;
    this.#random = random;
    const has = (what: string): boolean => this.#bad.has(what);
    stage.judges.verify = ({ imageDigest, modelVersion, inputs }) =>
      has(imageDigest) ||
      has(modelVersion) ||
      has(`${imageDigest} ${modelVersion}`) ||
      inputs.env?.some(({ value }) => value === "bad") === true
        ? BAD
        : undefined;
    stage.judges.serve = ({ imageDigest, modelVersion }) =>
      has(`serving ${imageDigest} ${modelVersion}`) ? CRASH : undefined;
  }

  async run(ms: number): Promise<SimulationReport> {
    const stage = this.#stage;
    const start = stage.clock.now();
    await stage.settle();
    while (stage.clock.now() < start + ms) {
      const what = await this.#pick()();
      const hours = ((stage.clock.now() - start) / HOUR_MS).toFixed(2);
      this.#events.push(`${hours} h: ${what}`);
      await stage.run(Math.round(-Math.log(1 - this.#random()) * MEAN_MS));
    }
    const isConverged = await this.#heal();
    await stage.close();
    const { invariants, webhooks, mistakes } = stage;
    return {
      events: this.#events,
      writes: invariants.writes.length,
      problems: [...invariants.violations, ...webhooks.premature, ...mistakes.map(String)],
      isConverged,
    };
  }

  /** All faults end, and something good is published: it must come to serve. */
  async #heal(): Promise<boolean> {
    const stage = this.#stage;
    stage.sources.failing = undefined;
    stage.webhooks.isFailing = false;
    stage.freeze([]);
    await stage.arm();
    for (const app of stage.apps) {
      for (const name of [annotations.hold, annotations.abort, annotations.retry])
        await app.annotate(name, undefined);
      await app.change({ suspend: false, env: [], release: { approval: "Automatic" } });
    }
    await this.#publish(true, true, false);
    // Longer than any back-off of a poll.
    await stage.run(15 * 60_000);
    await stage.settle();
    const areConverged = await Promise.all(stage.apps.map((app) => this.#isConverged(app)));
    return !areConverged.includes(false);
  }

  async #isConverged(app: StagedApp): Promise<boolean> {
    const { stable, candidate } = await app.ledger();
    const [deployment] = await app.objects(kinds.deployment);
    return (
      candidate === undefined &&
      stable?.modelVersion === String(this.#version) &&
      stable.imageDigest === digestOf(`image ${this.#images}`) &&
      JSON.stringify(deployment).includes(stable.id) &&
      this.#stage.webhooks.summarize(app.place).includes(`${stable.id} Released`)
    );
  }

  #pick(): Step {
    const steps: readonly (readonly [number, Step])[] = [
      [8, () => this.#publish(this.#chance(0.6), this.#chance(0.6), true)],
      [2, () => this.#changeSpec()],
      [4, () => this.#crash()],
      [4, () => this.#lag()],
      [3, () => this.#annotate()],
      [2, () => this.#failSource()],
      [1, () => this.#upgrade()],
      [1, () => this.#freeze()],
      [1, () => this.#failWebhook()],
      ...(this.#stage.apps.length > 1 ? [[1, () => this.#recreate()] as const] : []),
    ];
    const total = steps.reduce((sum, [weight]) => sum + weight, 0);
    let at = this.#random() * total;
    for (const [weight, step] of steps) {
      at -= weight;
      if (at < 0) return step;
    }
    return () => this.#crash();
  }

  /** The only app, or a random one. */
  #someApp(): { readonly app: StagedApp; readonly of: string } {
    const { apps } = this.#stage;
    const [first] = apps;
    if (first === undefined) throw new Error("a simulation has an app");
    if (apps.length === 1) return { app: first, of: "" };
    const app = apps[this.#number(apps.length)] ?? first;
    return { app, of: ` of ${keyOf(app.place)}` };
  }

  #chance(of: number): boolean {
    return this.#random() < of;
  }

  #number(below: number): number {
    return Math.floor(this.#random() * below);
  }

  async #publish(image: boolean, model: boolean, mayFail: boolean): Promise<string> {
    if (image) this.#images += 1;
    if (model) this.#version += 1;
    const name = `image ${this.#images}`;
    const [digest, version] = [digestOf(name), String(this.#version)];
    const faults: readonly string[] = [
      digest,
      version,
      `${digest} ${version}`,
      `serving ${digest} ${version}`,
    ];
    const fault = this.#number(12);
    const isNew = [image, model, image || model, image || model][fault] === true;
    if (mayFail && isNew) this.#bad.add(faults[fault] ?? "");
    const newest = Array.from({ length: 3 }, (_, index) => this.#version - index);
    const versions = newest
      .filter((one) => one > 0)
      .toReversed()
      .map(String);
    await this.#stage.publish({ image: name, versions });
    const flaw = mayFail && isNew ? `, bad: ${["image", "model", "pair", "pods"][fault]}` : "";
    return `publish ${name} and version ${version}${flaw}`;
  }

  async #changeSpec(): Promise<string> {
    const level = ["1", "2", "bad", ""][this.#number(4)] ?? "";
    const replicas = 1 + this.#number(3);
    const suspend = this.#chance(0.1);
    const approval = this.#chance(0.2) ? "Manual" : "Automatic";
    const settle = this.#chance(0.2) ? "5m" : "0s";
    const change = { env: [{ name: "LEVEL", value: level }], replicas, suspend };
    const { app, of } = this.#someApp();
    await app.change({ ...change, release: { approval, settle, historyLimit: 3 } });
    return `change the spec${of}: ${JSON.stringify({ level, replicas, suspend, approval, settle })}`;
  }

  async #crash(): Promise<string> {
    const when = this.#chance(0.5) ? "before" : "after";
    const n = 1 + this.#number(12);
    await this.#stage.arm({ crash: { n, when, of: "write" } });
    return `the operator restarts, and ends ${when} write ${n}`;
  }

  async #lag(): Promise<string> {
    const lag = 1 + this.#number(3);
    const only = lagging[this.#number(lagging.length)] ?? kinds.pod;
    const staleness = [{ lag }, { lag, only }, { lag: 0, misses: 1 + this.#number(30) }];
    const chosen = staleness[this.#number(staleness.length)] ?? { lag };
    await this.#stage.arm({ staleness: chosen });
    return `the operator restarts, with caches that are behind: ${JSON.stringify(chosen)}`;
  }

  async #annotate(): Promise<string> {
    const { app, of } = this.#someApp();
    const { all, candidate } = await app.ledger();
    const some = (records: readonly ReleaseRecord[]): string =>
      records[this.#number(records.length)]?.id ?? "0123456789";
    const failed = all.filter((record) => phaseOf(record) === "Failed");
    const set = async (name: string, value: string | undefined): Promise<string> => {
      await app.annotate(name, value);
      return `set ${name}${of} to ${value ?? "nothing"}`;
    };
    switch (this.#number(5)) {
      case 0:
        return set(annotations.hold, some(all));
      case 1:
        return set(annotations.retry, `${some(failed)}/${(this.#tokens += 1)}`);
      case 2:
        return set(annotations.abort, candidate?.id ?? some(all));
      case 3:
        return set(annotations.approve, candidate?.id ?? some(all));
      default:
        return set(annotations.hold, undefined);
    }
  }

  async #failSource(): Promise<string> {
    const { sources } = this.#stage;
    if (sources.failing !== undefined) {
      sources.failing = undefined;
      return "the source responds again";
    }
    sources.failing = this.#chance(0.5)
      ? { half: "image", code: "REGISTRY_UNAVAILABLE" }
      : { half: "model", code: "STORAGE_UNAVAILABLE" };
    return `the ${sources.failing.half} source fails`;
  }

  async #freeze(): Promise<string> {
    this.#isFrozen = !this.#isFrozen;
    const time = { type: "Once", from: -Infinity, until: Infinity } as const;
    const freeze = { name: "weekend", reason: "the team is away", selector: {}, time };
    this.#stage.freeze(this.#isFrozen ? [freeze] : []);
    return this.#isFrozen ? "releases are frozen" : "the freeze ends";
  }

  async #failWebhook(): Promise<string> {
    const { webhooks } = this.#stage;
    webhooks.isFailing = !webhooks.isFailing;
    return webhooks.isFailing ? "the webhook fails" : "the webhook responds again";
  }

  async #recreate(): Promise<string> {
    const { app, of } = this.#someApp();
    await this.#stage.remove(app);
    await this.#stage.run(1000);
    await app.change({});
    return `delete and make again the AIApp${of}`;
  }

  async #upgrade(): Promise<string> {
    const image = `example.azurecr.io/operator:${1 + this.#number(3)}`;
    await this.#stage.upgrade({ ...puller, image });
    return `run ${image}`;
  }
}
