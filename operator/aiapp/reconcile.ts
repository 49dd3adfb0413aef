import type { AIApp } from "../../crds/aiapp/aiapp.ts";
import type { AIAppStatus } from "../../crds/aiapp/status.ts";
import type { Clock } from "../clock.ts";
import { isOperatorError, messageOf } from "../errors.ts";
import type { Kube } from "../kube/client.ts";
import { kinds, type KubernetesObject, type V1ControllerRevision } from "../kube/types.ts";
import type { Logger } from "../log.ts";
import type { Metrics } from "../metrics.ts";
import type { Notifier } from "../notify/notifier.ts";
import type { EventNote, Recorder } from "../runtime/recorder.ts";
import type { Outcome } from "../runtime/queue.ts";
import type { Poller } from "../sources/poller.ts";
import { AppliedObjects } from "./applied-objects.ts";
import { refusalByCount } from "./app-limit.ts";
import type { Cache } from "./cache.ts";
import type { CanaryMeter } from "./canary-meter.ts";
import { canonical } from "./canonical.ts";
import { invalidStatus, refusedStatus, unservedStatus } from "./conditions/refused.ts";
import { eventsOf } from "./events.ts";
import type { FreezeView } from "./freeze-view.ts";
import type { PolicyView } from "./policy-view.ts";
import { execute, type ExecuteTools, type WriteAction } from "./execute.ts";
import { secretsOf, type NamedSecrets } from "./named-secrets.ts";
import { observe } from "./observe.ts";
import { plan, planNothing, type Plan } from "./plan.ts";
import { ProblemGauges } from "./problems.ts";
import type { createSourceResolver } from "./resolve-sources.ts";
import type { PullerSettings } from "./resources/template.ts";
import { SpecCache } from "./spec-cache.ts";
import { StatusWriter } from "./status-writer.ts";
import { WrittenRecords } from "./written-records.ts";

/** When an object that the API server rejected is tried again. */
const REJECTED_MS = 60_000;
/** When an AIApp beyond the limit of its namespace looks for a place again. */
const UNSERVED_MS = 60_000;

export interface ReconcilerParts {
  readonly kube: Kube;
  readonly tenant?: ExecuteTools["tenant"];
  readonly cache: Cache;
  readonly poller: Poller;
  readonly resolver: ReturnType<typeof createSourceResolver>;
  readonly secrets: Pick<NamedSecrets, "follow">;
  readonly freezes: FreezeView;
  readonly notifier: Notifier;
  readonly meter: Pick<CanaryMeter, "of" | "follow">;
  readonly policies: PolicyView;
  readonly recorder: Recorder;
  readonly puller: PullerSettings;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** How many AIApps of a namespace are served; 0: all. */
  readonly appLimit: number;
}

/** The thin shell around the plan: observe → plan → execute → status. Holds nothing that a restart may not lose. */
export class Reconciler {
  readonly #parts: ReconcilerParts;
  readonly #specs = new SpecCache();
  readonly #writer: StatusWriter;
  readonly #problems: ProblemGauges;
  readonly #written = new WrittenRecords();
  readonly #applied = new AppliedObjects();

  constructor(parts: ReconcilerParts) {
    this.#parts = parts;
    this.#writer = new StatusWriter(parts.kube, parts.cache);
    this.#problems = new ProblemGauges(parts.metrics);
  }

  async reconcile(key: string, signal: AbortSignal): Promise<Outcome> {
    const { clock, cache, appLimit } = this.#parts;
    const object = this.#writer.latest(key);
    if (object === undefined || object.metadata?.deletionTimestamp !== undefined) {
      // Owner references delete what it owns.
      this.#rest(key);
      this.#writer.forget(key);
      this.#specs.forget(key);
      this.#problems.forget(key);
      this.#written.forget(key);
      this.#applied.forget(key);
      return { kind: "done" };
    }
    const beyond = refusalByCount(object, cache.apps, appLimit);
    if (beyond !== undefined) {
      this.#rest(key);
      const status = unservedStatus(object, beyond, clock.now(), "NamespaceLimit");
      const before: unknown = Reflect.get(object, "status");
      await this.#report(key, object, before, status, signal);
      // Another one may be deleted.
      return { kind: "requeue", afterMs: UNSERVED_MS };
    }
    const parsed = this.#specs.parse(key, object);
    if (!parsed.success) {
      const status = invalidStatus(object, parsed.error, clock.now());
      this.#problems.note(key, status);
      await this.#writer.write(key, object, status, signal);
      return { kind: "done" };
    }
    return this.#reconcileApp(key, object, parsed.data, signal);
  }

  /** Nothing is read, polled, delivered or measured for the app any more. */
  #rest(key: string): void {
    const { poller, secrets, notifier, meter } = this.#parts;
    secrets.follow(key, []);
    poller.subscribe(key, []);
    notifier.deliver(key, []);
    meter.follow(key, undefined);
  }

  async #reconcileApp(
    key: string,
    object: KubernetesObject,
    app: AIApp,
    signal: AbortSignal,
  ): Promise<Outcome> {
    const { clock, puller, cache, secrets, policies, notifier, meter } = this.#parts;
    secrets.follow(key, policies.refusal(app) === undefined ? secretsOf(app) : []);
    const revisions = (): readonly V1ControllerRevision[] =>
      this.#written.latest(key, cache.of(kinds.controllerRevision).indexed(key), clock.now());
    const tools = { ...this.#parts, revisions, applied: this.#applied };
    const observed = await observe(app, tools, signal);
    const made = plan(observed, puller, clock.now());
    meter.follow(key, made.measures);
    const rejection = await this.#execute(key, made, signal);
    if (rejection === undefined) {
      this.#count(made);
      notifier.deliver(key, made.deliveries);
      if (made.isStatusDue) await this.#report(key, object, app.status, made.status, signal);
      await this.#record(key, object, made.events, signal);
      const priority = made.isWakeUp ? "release" : "background";
      return { kind: "requeue", afterMs: made.requeueAfterMs, priority };
    }
    const message = messageOf(rejection);
    const unchanged = planNothing(observed, puller, clock.now());
    const status = refusedStatus(unchanged.status, app.status, message, clock.now());
    if (await this.#report(key, object, app.status, status, signal))
      await this.#record(key, object, eventsOf([], app.status, status), signal);
    if (!isOperatorError(rejection, "KUBE_INVALID")) throw rejection;
    // A policy of the cluster may have rejected it, which can change without the spec.
    return { kind: "requeue", afterMs: Math.min(REJECTED_MS, made.requeueAfterMs) };
  }

  /** The error with which the API server rejects an object, if it does: the spec or the operator's rights must change. */
  async #execute(key: string, { actions }: Plan, signal: AbortSignal): Promise<unknown> {
    const { clock } = this.#parts;
    const onWritten = (action: WriteAction, result: KubernetesObject | undefined): void => {
      this.#written.keep(key, action, result, clock.now());
      this.#applied.keep(key, action, result);
    };
    const onFailed = (action: WriteAction): void => this.#written.drop(key, action);
    try {
      await execute(actions, { ...this.#parts, onWritten, onFailed }, signal);
      return undefined;
    } catch (error) {
      if (!isOperatorError(error, "KUBE_INVALID", "KUBE_FORBIDDEN")) throw error;
      return error;
    }
  }

  /** Writes the status if it differs; says whether it did. */
  async #report(
    key: string,
    object: KubernetesObject,
    before: unknown,
    status: AIAppStatus,
    signal: AbortSignal,
  ): Promise<boolean> {
    this.#problems.note(key, status);
    if (before === status || canonical(before) === canonical(status)) return false;
    await this.#writer.write(key, object, status, signal);
    return true;
  }

  #count({ changes, dropped }: Plan): void {
    const { releases, releasePhaseSeconds, notifications } = this.#parts.metrics;
    for (const { type } of dropped) notifications.inc({ type, result: "dropped" });
    for (const { phase, before, record } of changes) {
      if (before !== undefined)
        releasePhaseSeconds.observe({ phase: before.phase }, before.ms / 1000);
      if (!outcomes.has(phase)) continue;
      const { reason = "" } = record.journal.at(-1) ?? {};
      releases.inc({ outcome: phase.toLowerCase(), reason: phase === "Failed" ? reason : "" });
    }
  }

  async #record(
    key: string,
    object: KubernetesObject,
    events: readonly EventNote[],
    signal: AbortSignal,
  ): Promise<void> {
    const { log, recorder } = this.#parts;
    for (const event of events) {
      log.info({ app: key, reason: event.reason, message: event.message }, "changed");
      await recorder.record(object, event, signal);
    }
  }
}

/** The phases in which a release ends. */
const outcomes: ReadonlySet<string> = new Set(["Released", "Failed", "Superseded"]);
