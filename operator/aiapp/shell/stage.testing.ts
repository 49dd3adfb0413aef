import { setImmediate } from "node:timers/promises";

import type { AIAppStatus, Phase } from "../../../crds/aiapp/status.ts";
import { ManualClock } from "../../clock.testing.ts";
import type { Kube } from "../../kube/client.ts";
import { ownedKinds } from "../cache.ts";
import { collectGarbage } from "../../kube/fake/garbage.testing.ts";
import { createFakeKube, type FakeKube } from "../../kube/fake/fake.testing.ts";
import {
  countCalls,
  crashAt,
  pauseAt,
  type CountedKube,
  type CrashOptions,
  type PausedKube,
} from "../../kube/faults.testing.ts";
import { kinds, type Kind, type KubernetesObject } from "../../kube/types.ts";
import { createLogger, type Logger } from "../../log.ts";
import { createMetrics, type Metrics } from "../../metrics.ts";
import { puller, type SpecInput } from "../observed.testing.ts";
import type { Freeze } from "../release/freeze.ts";
import { phaseOf, type Ledger } from "../release/ledger.ts";
import type { ReleaseRecord } from "../release/record.ts";
import type { PullerSettings } from "../resources/template.ts";
import { aiappKind } from "../status-writer.ts";
import { Controllers, type Judges } from "./controllers.testing.ts";
import { Invariants } from "./invariants.testing.ts";
import { FRESH, OperatorProcess, type Staleness } from "./process.testing.ts";
import { keyOf, NAMESPACES, placeOf, StagedApp } from "./staged-app.testing.ts";
import { takeSnapshot, type Snapshot } from "./snapshot.testing.ts";
import { Sources, type Published } from "./sources.testing.ts";
import { WEBHOOK_URL, Webhooks } from "./webhooks.testing.ts";

/** What a scenario is played on: one app, its sources, and the operator. */
export interface Stage {
  readonly judges: Judges;
  /** Whether the webhook responds with errors. */
  readonly failWebhook: (isFailing: boolean) => void;
  /** What an administrator freezes from now on. */
  readonly freeze: (freezes: readonly Freeze[]) => void;
  /** Lets time pass. Milliseconds. */
  readonly pass: (ms: number) => Promise<void>;
  /** The AIApp is deleted. */
  readonly remove: () => Promise<void>;
  readonly publish: (change: Partial<Published>) => Promise<void>;
  readonly change: (spec: SpecInput) => Promise<void>;
  readonly annotate: (name: string, value: string | undefined) => Promise<void>;
  /** Another version of the operator, with other parts in the pods. */
  readonly upgrade: (to: PullerSettings) => Promise<void>;
  /** Until nothing is left to do. */
  readonly settle: () => Promise<void>;
  /** Until a release is in this phase. */
  readonly until: (phase: Phase) => Promise<void>;
  readonly release: (match: (record: ReleaseRecord) => boolean) => Promise<ReleaseRecord>;
}

/** What goes wrong from `arm` on. */
export interface Faults {
  readonly crash?: CrashOptions & { readonly n: number };
  readonly staleness?: Staleness;
  /** The process stands still at a write while another one takes over, and sends it then. */
  readonly pause?: {
    readonly n: number;
    readonly forMs: number;
    /** What the process does after that write. */
    readonly after: "continues" | "ends";
  };
}

const SECRET = "store-key";
const WEBHOOK_SECRET = "webhook";
/** Notifies of every phase that a release stays in. */
export const notifications: SpecInput["notifications"] = [
  {
    name: "events",
    type: "Generic",
    secret: WEBHOOK_SECRET,
    phases: ["Verifying", "AwaitingApproval", "RollingOut", "Released", "Failed", "Superseded"],
  },
];
/** What is tested runs with verification, and reads a Secret. */
export const defaultSpec: SpecInput = {
  verify: {},
  credentials: { storage: SECRET, anonymous: ["Registry"] },
};
/** Longer than the interval, a back-off after a conflict, and the time until a cache lists again. */
const REST_MS = 65_000;
const MAX_RESTS = 60;
/** Before another process takes over. */
const RESTART_MS = 1000;

let shared: { readonly log: Logger; readonly metrics: Metrics } | undefined;

/** The operator's shell on a fake Kubernetes API, with stand-ins for everything around it, in virtual time. */
export class ShellStage implements Stage {
  readonly clock = new ManualClock();
  readonly sources = new Sources();
  readonly webhooks = new Webhooks((...entry) => this.invariants.hadEntry(...entry));
  readonly judges: Judges = { verify: () => undefined, serve: () => undefined };
  readonly api: FakeKube;
  readonly invariants: Invariants;
  /** A policy of the cluster: what it makes of an object that is applied. */
  policy: (kind: Kind, object: KubernetesObject) => KubernetesObject = (_, object) => object;
  /** How many AIApps of the namespace are served; 0: all. */
  appLimit = 0;
  readonly #signal = new AbortController().signal;
  /** Of each namespace. */
  readonly #controllers: readonly Controllers[];
  readonly #user: Kube;
  /** What a scenario changes is the first one. */
  readonly apps: readonly StagedApp[];
  #puller = puller;
  #freezes: readonly Freeze[] = [];
  /** An AIApp was deleted: what it owned goes after it. */
  #hasGarbage = false;
  #processes: OperatorProcess[] = [];
  #staleness: Staleness = FRESH;
  #paused: { readonly kube: PausedKube; readonly process: OperatorProcess } | undefined;
  #pause: Faults["pause"];
  #hasTakenOver = false;
  #counted: CountedKube | undefined;
  readonly #mistakes: unknown[] = [];

  constructor(spec: SpecInput, count: number) {
    this.api = createFakeKube({ clock: this.clock, namespaces: NAMESPACES });
    const places = Array.from({ length: count }, (_, index) => placeOf(index));
    const signal = this.#signal;
    this.invariants = new Invariants(this.api, this.judges, { apps: places, signal });
    this.#user = this.invariants.guard("user");
    const kube = { ...this.invariants.guard("controllers"), version: this.api.version };
    this.#controllers = NAMESPACES.map(
      (namespace) => new Controllers(kube, this.clock, this.judges, { namespace, signal }),
    );
    this.apps = places.map((place) => {
      const settings = { spec: { ...defaultSpec, ...spec }, signal };
      return new StagedApp(this.api, this.#user, place, settings);
    });
  }

  /** @param count of apps, all of which follow the same image and the same model */
  static async open(spec: SpecInput = {}, count = 1): Promise<ShellStage> {
    const stage = new ShellStage(spec, count);
    const secrets = { [SECRET]: { sasToken: "sv=1" }, [WEBHOOK_SECRET]: { url: WEBHOOK_URL } };
    for (const [name, stringData] of Object.entries(secrets)) {
      const values = Object.entries(stringData).map(
        ([key, value]) => [key, Buffer.from(value).toString("base64")] as const,
      );
      for (const namespace of new Set(stage.apps.map(({ place }) => place.namespace))) {
        const secret = { metadata: { namespace, name }, data: Object.fromEntries(values) };
        await stage.#user.create(kinds.secret, secret, stage.#signal);
      }
    }
    for (const app of stage.apps) await app.change({});
    return stage;
  }

  get #first(): StagedApp {
    const [first] = this.apps;
    if (first === undefined) throw new Error("a stage has an app");
    return first;
  }

  /** From here on faults count: the operator starts again, with all that goes wrong. */
  async arm({ crash, staleness = FRESH, pause }: Faults = {}): Promise<void> {
    for (const process of this.#processes) await process.end();
    this.#processes = [];
    this.#staleness = staleness;
    const counted = countCalls(this.#withPolicy(this.invariants.guard("operator 1")));
    this.#counted = counted;
    const paused = pause && pauseAt(counted, pause.n);
    const kube = crash === undefined ? counted : crashAt(counted, crash.n, crash);
    const process = await this.#start(paused?.kube ?? kube);
    if (pause !== undefined && paused !== undefined) {
      this.#paused = { kube: paused, process };
      this.#pause = pause;
    }
  }

  #withPolicy(kube: Kube): Kube {
    return {
      ...kube,
      apply: (kind, object, options, signal) =>
        kube.apply(kind, this.policy(kind, object) as typeof object, options, signal),
    };
  }

  /** How many calls the first process since `arm` has made. */
  count(of: CrashOptions["of"]): number {
    return this.#counted?.count(of) ?? 0;
  }

  get mistakes(): readonly unknown[] {
    return [...this.#mistakes, ...this.#processes.flatMap(({ mistakes }) => mistakes)];
  }

  async #start(kube: Kube): Promise<OperatorProcess> {
    shared ??= { log: createLogger("silent"), metrics: createMetrics() };
    const process = await OperatorProcess.start({
      ...shared,
      api: this.api,
      kube,
      clock: this.clock,
      sources: this.sources,
      webhooks: this.webhooks,
      freezes: { of: () => ({ all: this.#freezes, labels: {} }) },
      puller: this.#puller,
      apps: this.apps.map(({ place }) => keyOf(place)),
      appLimit: this.appLimit,
      staleness: this.#staleness,
    });
    this.#processes.push(process);
    return process;
  }

  failWebhook(isFailing: boolean): void {
    this.webhooks.isFailing = isFailing;
  }

  freeze(freezes: readonly Freeze[]): void {
    this.#freezes = freezes;
    for (const process of this.#processes) process.wake();
  }

  pass(ms: number): Promise<void> {
    return this.run(ms);
  }

  async remove(app = this.#first): Promise<void> {
    await app.remove();
    this.#hasGarbage = true;
  }

  async publish(change: Partial<Published>): Promise<void> {
    this.sources.published = { ...this.sources.published, ...change };
  }

  async change(spec: SpecInput): Promise<void> {
    await this.#first.change(spec);
  }

  async annotate(name: string, value: string | undefined): Promise<void> {
    await this.#first.annotate(name, value);
  }

  /** A user deletes the Secret of the store that every AIApp of the namespace names. */
  async deleteLogin(): Promise<void> {
    const { namespace } = this.#first.place;
    const { metadata } =
      (await this.#user.get(kinds.secret, namespace, SECRET, this.#signal)) ?? {};
    const target = { namespace, name: SECRET, uid: metadata?.uid ?? "" };
    await this.#user.delete(kinds.secret, target, this.#signal);
  }

  async upgrade(to: PullerSettings): Promise<void> {
    this.#puller = to;
    for (const process of this.#processes) await process.end();
  }

  async settle(): Promise<void> {
    for (let rests = 0; rests < MAX_RESTS; rests += 1) {
      const before = this.#writes();
      await this.run(REST_MS);
      if (this.#writes() === before && !(await this.#hasNotices())) return;
    }
    throw new Error(`does not come to rest: ${this.invariants.writes.slice(-20).join(", ")}`);
  }

  async until(phase: Phase): Promise<void> {
    const end = this.clock.now() + 60 * REST_MS;
    for (;;) {
      await this.#instant();
      const { all } = await this.ledger();
      if (all.some((record) => phaseOf(record) === phase)) return;
      if (!(await this.#moveOn(end)))
        throw new Error(`no release is ${phase}: ${this.invariants.writes.slice(-20).join(", ")}`);
    }
  }

  async release(match: (record: ReleaseRecord) => boolean): Promise<ReleaseRecord> {
    const found = (await this.ledger()).all.find(match);
    if (found === undefined) throw new Error("there is no such release");
    return found;
  }

  async status(): Promise<AIAppStatus> {
    return this.#first.status();
  }

  async ledger(): Promise<Ledger> {
    return this.#first.ledger();
  }

  async objects(kind: Kind): Promise<readonly KubernetesObject[]> {
    return this.#first.objects(kind);
  }

  /** Of each app. */
  async snapshots(): Promise<readonly Snapshot[]> {
    return Promise.all(
      this.apps.map(async (app) => {
        const objects = await takeSnapshot(app);
        return { ...objects, notified: this.webhooks.summarize(app.place) };
      }),
    );
  }

  /** What a deleted AIApp has left behind. */
  async leftovers(): Promise<readonly string[]> {
    if (!this.#hasGarbage) return [];
    const objects = await takeSnapshot(this.#first);
    return Object.keys(objects).map((name) => `${name} is left of the deleted AIApp`);
  }

  async close(): Promise<void> {
    for (const process of this.#processes) await process.end();
  }

  /** Lets time pass. Milliseconds. */
  async run(ms: number): Promise<void> {
    const end = this.clock.now() + ms;
    do await this.#instant();
    while (await this.#moveOn(end));
  }

  /** All that happens before time moves on. */
  async #instant(): Promise<void> {
    for (let turns = 0; turns < 1000; turns += 1) {
      await setImmediate();
      await this.#replaceProcesses();
      let hasActed = false;
      for (const process of this.#processes)
        if (await process.turn(() => this.#isPaused(process))) hasActed = true;
      await this.#takeOver();
      for (const controllers of this.#controllers) if (await controllers.act()) hasActed = true;
      if (await this.#collectGarbage()) hasActed = true;
      if (this.#processes.some(({ hasEnded }) => hasEnded)) continue;
      if (!hasActed && !this.#processes.some((process) => process.catchUp())) return;
    }
    throw new Error(`an instant does not end: ${this.invariants.writes.slice(-20).join(", ")}`);
  }

  async #collectGarbage(): Promise<boolean> {
    if (!this.#hasGarbage) return false;
    const kube = this.invariants.guard("garbage collector");
    const collected = [aiappKind, ...ownedKinds, kinds.pod];
    let hasCollected = false;
    for (const namespace of NAMESPACES)
      if ((await collectGarbage(kube, collected, namespace, this.#signal)).length > 0)
        hasCollected = true;
    return hasCollected;
  }

  /** Moves on to the next thing that is due, or to `end`. Returns whether that is before `end`. */
  async #moveOn(end: number): Promise<boolean> {
    const now = this.clock.now();
    if (now >= end) return false;
    const next = Math.min(Math.max(this.clock.nextAt ?? end, now + 1), end);
    await this.clock.advance(next - now);
    return true;
  }

  async #replaceProcesses(): Promise<void> {
    const ended = this.#processes.filter(({ hasEnded }) => hasEnded);
    for (const process of ended) {
      await process.end();
      this.#mistakes.push(...process.mistakes);
    }
    this.#processes = this.#processes.filter((process) => !ended.includes(process));
    if (this.#processes.length > 0) return;
    if (ended.length > 0) await this.clock.advance(RESTART_MS);
    await this.#start(this.invariants.guard("operator"));
  }

  #isPaused(process: OperatorProcess): boolean {
    return this.#paused?.process === process && this.#paused.kube.isPaused();
  }

  /** The first process stands still: another one begins, and the write of the first arrives late. */
  async #takeOver(): Promise<void> {
    const paused = this.#paused;
    const pause = this.#pause;
    if (paused === undefined || pause === undefined || this.#hasTakenOver) return;
    if (!paused.kube.isPaused()) return;
    this.#hasTakenOver = true;
    await this.#start(this.invariants.guard("operator 2"));
    this.clock.after(pause.forMs, () => {
      paused.kube.resume(pause.after);
      void paused.process.finish().then(() => paused.process.end());
    });
  }

  /** A webhook that responds will get these: its back-off may be longer than a rest. */
  async #hasNotices(): Promise<boolean> {
    if (this.webhooks.isFailing) return false;
    const ledgers = await Promise.all(this.apps.map((app) => app.ledger()));
    const journals = ledgers.flatMap(({ all }) => all.map(({ journal }) => journal));
    return journals.some((journal) => journal.some(({ notify }) => notify !== undefined));
  }

  #writes(): number {
    return this.invariants.writes.length;
  }
}
