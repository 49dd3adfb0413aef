import { AIApp } from "../../../crds/aiapp/aiapp.ts";
import { type Phase } from "../../../crds/aiapp/status.ts";
import { labels } from "../../../crds/names.ts";
import type { Kube } from "../../kube/client.ts";
import type { FakeKube } from "../../kube/fake/fake.testing.ts";
import { isWrite, surround } from "../../kube/faults.testing.ts";
import { kinds, type Kind, type KubernetesObject, type V1Deployment } from "../../kube/types.ts";
import type { JournalEntry } from "../../../crds/journal.ts";
import { isVerified, makeLedger, openPhases, phaseOf, type Ledger } from "../release/ledger.ts";
import { readRecord, type ReleaseRecord } from "../release/record.ts";
import { targetOf } from "../steps/target.ts";
import { aiappKind } from "../status-writer.ts";
import type { Judges } from "./controllers.testing.ts";
import { belongsTo, keyOf, type AppPlace } from "./staged-app.testing.ts";

/** What must hold after every single write, whichever process or controller made it. */
export class Invariants {
  readonly violations: string[] = [];
  /** Every write until now, in their order. */
  readonly writes: string[] = [];
  readonly #api: FakeKube;
  readonly #apps: readonly AppInvariants[];
  /** The version of all objects that was checked last. */
  #checked = 0;

  constructor(
    api: FakeKube,
    judges: Judges,
    { apps, signal }: { readonly apps: readonly AppPlace[]; readonly signal: AbortSignal },
  ) {
    this.#api = api;
    this.#apps = apps.map((app) => new AppInvariants(api, judges, app, signal));
  }

  /** The API, each write of which is checked. */
  guard(actor: string): Kube {
    return surround(this.#api, async (call, what, run) => {
      const result = await run();
      if (isWrite(call)) await this.#check(`${actor}: ${call} ${what}`);
      return result;
    });
  }

  /** Whether a journal of the app had at any time an entry of this time; records of a deleted app are gone. */
  hadEntry(app: AppPlace, id: string, at: string): boolean {
    return this.#apps.some(({ key, entries }) => key === keyOf(app) && entries.has(`${id} ${at}`));
  }

  async #check(write: string): Promise<void> {
    this.writes.push(write);
    // Writes that change nothing break nothing.
    if (this.#api.version() === this.#checked) return;
    this.#checked = this.#api.version();
    if (/ (Event|ServiceAccount|PodDisruptionBudget|Secret) /.test(write)) return;
    for (const app of this.#apps)
      await app.check((what) => {
        this.violations.push(`${app.key}: ${what} (write ${this.writes.length}: ${write})`);
      });
  }
}

/** Of one app. */
class AppInvariants {
  readonly key: string;
  /** Of all journals until now: the release, and the time. */
  readonly entries = new Set<string>();
  readonly #api: Kube;
  readonly #place: AppPlace;
  readonly #judges: Judges;
  readonly #signal: AbortSignal;
  #app: AIApp | undefined;
  readonly #sets = new Map<string, { readonly release: string; readonly replicas: number }>();
  #selected: string | undefined;
  readonly #pods = new Set<string>();
  readonly #journals = new Map<string, ReleaseRecord>();

  constructor(api: Kube, judges: Judges, place: AppPlace, signal: AbortSignal) {
    this.key = keyOf(place);
    this.#api = api;
    this.#judges = judges;
    this.#place = place;
    this.#signal = signal;
  }

  async check(fail: (what: string) => void): Promise<void> {
    const records = (await this.#list(kinds.controllerRevision)).flatMap(
      (revision) => readRecord(revision) ?? [],
    );
    for (const record of records.filter((one) => this.#journals.get(one.id) !== one))
      for (const { at } of record.journal) this.entries.add(`${record.id} ${at}`);
    const app = await this.#readApp();
    if (app === undefined) return;
    const ledger = makeLedger(records);
    this.#checkJournals(ledger, fail);
    const open = ledger.all.filter((record) => openPhases.has(phaseOf(record)));
    if (open.length > 1) fail(`${open.length} releases are on their way`);
    const deployments = await this.#list(kinds.deployment);
    for (const deployment of deployments) this.#checkDeployment(deployment, app, ledger, fail);
    await this.#checkService(deployments, fail);
    await this.#checkPods(app, ledger, fail);
  }

  /** Parsed once for each generation of it. One that is made again begins with nothing. */
  async #readApp(): Promise<AIApp | undefined> {
    const [object] = await this.#list(aiappKind);
    if (object === undefined) return undefined;
    const { uid, generation } = this.#app?.metadata ?? {};
    const isSame = object.metadata?.uid === uid;
    if (!isSame) {
      this.#sets.clear();
      this.#journals.clear();
      this.#selected = undefined;
    }
    if (!isSame || Reflect.get(object.metadata ?? {}, "generation") !== generation)
      this.#app = AIApp.safeParse(object).data;
    return this.#app;
  }

  #checkDeployment(
    deployment: V1Deployment,
    app: AIApp,
    ledger: Ledger,
    fail: (what: string) => void,
  ): void {
    const name = deployment.metadata?.name ?? "";
    const before = this.#sets.get(name);
    const id = deployment.spec?.template.metadata?.labels?.[labels.release] ?? "";
    const record = ledger.all.find((one) => one.id === id);
    if (record === undefined) fail(`Deployment ${name} names release ${id}, which has no record`);
    if (record !== undefined && id !== before?.release) {
      if (app.spec.verify?.enabled !== false && !isVerified(record))
        fail(`Deployment ${name} runs release ${id}, which is not verified`);
      if (targetOf(ledger)?.id !== id)
        fail(
          `Deployment ${name} runs release ${id}, which is ${phaseOf(record)} and not the target`,
        );
    }
    const replicas = deployment.spec?.replicas ?? 1;
    const number = app.spec.replicas ?? app.spec.autoscaling?.minReplicas ?? 1;
    const least = app.spec.verify?.placement === "InPlace" ? number - 1 : number;
    if (replicas < (before?.replicas ?? 0) && replicas < least)
      fail(`Deployment ${name} has ${replicas} replicas of ${least}`);
    this.#sets.set(name, { release: id, replicas });
  }

  /** The Service switches only to sets all of whose pods are ready, and a set that it selects is never deleted. */
  async #checkService(
    deployments: readonly V1Deployment[],
    fail: (what: string) => void,
  ): Promise<void> {
    const [service] = await this.#list(kinds.service);
    const selected = service?.spec?.selector?.[labels.role] ?? "each";
    const sets = deployments.filter(
      ({ spec }) => selected === "each" || spec?.selector.matchLabels?.[labels.role] === selected,
    );
    const isReady = sets.every(
      ({ spec, status }) => (status?.availableReplicas ?? 0) >= (spec?.replicas ?? 1),
    );
    if (deployments.length > 0) {
      if (sets.length === 0) fail(`the Service selects the ${selected} set, which is not there`);
      if (selected !== this.#selected && !isReady)
        fail(`the Service switches to the ${selected} set, whose pods are not ready`);
    }
    this.#selected = selected;
  }

  /** A pod that the Service selects is of a release that is verified. */
  async #checkPods(app: AIApp, { all }: Ledger, fail: (what: string) => void): Promise<void> {
    for (const { metadata } of await this.#list(kinds.pod)) {
      const { uid = "", name = "", labels: own = {} } = metadata ?? {};
      if (this.#pods.has(uid)) continue;
      this.#pods.add(uid);
      if (own[labels.traffic] !== "true") continue;
      const record = all.find(({ id }) => id === own[labels.release]);
      if (record === undefined || (app.spec.verify?.enabled !== false && !isVerified(record)))
        fail(`pod ${name} gets requests, and its release is not verified`);
    }
  }

  #checkJournals({ all, stable }: Ledger, fail: (what: string) => void): void {
    for (const record of all) {
      const before = this.#journals.get(record.id);
      if (before === record) continue;
      this.#journals.set(record.id, record);
      const known = before?.journal ?? [];
      const { journal, id } = record;
      const kept = known.filter((entry) => journal.some((one) => isSame(one, entry)));
      // Past its bound a journal loses its oldest entry with each new one.
      if (kept.length < known.length && journal.length < 40)
        fail(`the journal of ${id} lost ${known.length - kept.length} of its entries`);
      const added = journal.filter((entry) => !known.some((one) => isSame(one, entry)));
      for (const entry of added) this.#checkEntry(record, entry, stable?.id === id, fail);
    }
    for (const id of this.#journals.keys())
      if (!all.some((record) => record.id === id)) this.#journals.delete(id);
  }

  #checkEntry(
    record: ReleaseRecord,
    entry: JournalEntry,
    isStable: boolean,
    fail: (what: string) => void,
  ): void {
    const { id, journal } = record;
    const before: Phase | undefined = journal[journal.indexOf(entry) - 1]?.phase;
    if (before === "Failed" && entry.phase !== "Failed" && entry.answers === undefined && !isStable)
      fail(`release ${id} has failed, and is ${entry.phase} without a retry`);
    const isFound = entry.phase === "Failed" && entry.reason !== "Aborted";
    if (!isFound || before === "Failed") return;
    const { verify, serve } = this.#judges;
    if (verify(record) === undefined && serve(record) === undefined)
      fail(`release ${id} is quarantined (${entry.reason}), and nothing is wrong with it`);
  }

  async #list<T extends KubernetesObject>(kind: Kind<T>): Promise<readonly T[]> {
    const { namespace } = this.#place;
    const { items } = await this.#api.list(kind, { namespace }, this.#signal);
    return items.filter((object) => belongsTo(object, this.#place));
  }
}

function isSame(one: JournalEntry, other: JournalEntry): boolean {
  return one.at === other.at && one.phase === other.phase;
}
