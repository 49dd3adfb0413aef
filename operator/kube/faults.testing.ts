import type { Kube } from "./client.ts";
import type { Kind, KubernetesObject, WatchEvent } from "./types.ts";

/** Faults in front of any `Kube`: the end of the process at a chosen call, and caches that are behind. */

/** The process has ended: nothing that runs in it does anything more. */
export class ProcessEnded extends Error {
  override readonly name = "ProcessEnded";
}

export type Call = Exclude<keyof Kube, "watch">;

const writes: ReadonlySet<Call> = new Set(["apply", "create", "patch", "replace", "delete"]);

export interface CrashOptions {
  /** Whether the call at which the process ends takes effect. */
  readonly when: "before" | "after";
  /** Which calls count. A watch never does. */
  readonly of: "write" | "any";
}

export interface CountedKube extends Kube {
  /** The calls until now, in their order: `apply Deployment cats`. */
  readonly calls: () => readonly string[];
  readonly count: (of: CrashOptions["of"]) => number;
}

/** @param what the object of the call: `Deployment cats` */
export type Around = <R>(call: Call, what: string, run: () => Promise<R>) => Promise<R>;

export function isWrite(call: Call): boolean {
  return writes.has(call);
}

/** A `Kube` whose every call goes through `around`. */
export function surround(kube: Kube, around: Around, watch: Kube["watch"] = kube.watch): Kube {
  const nameOf = ({ metadata }: KubernetesObject): string => metadata?.name ?? "";
  return {
    get: (kind, namespace, name, signal) =>
      around("get", `${kind.kind} ${name}`, () => kube.get(kind, namespace, name, signal)),
    list: (kind, options, signal) =>
      around("list", kind.kind, () => kube.list(kind, options, signal)),
    watch,
    apply: (kind, object, options, signal) =>
      around("apply", `${kind.kind} ${nameOf(object)}`, () =>
        kube.apply(kind, object, options, signal),
      ),
    create: (kind, object, signal) =>
      around("create", `${kind.kind} ${nameOf(object)}`, () => kube.create(kind, object, signal)),
    patch: (kind, namespace, name, patch, options, signal) =>
      around("patch", `${kind.kind} ${name}`, () =>
        kube.patch(kind, namespace, name, patch, options, signal),
      ),
    replace: (kind, object, options, signal) =>
      around("replace", `${kind.kind} ${nameOf(object)}`, () =>
        kube.replace(kind, object, options, signal),
      ),
    delete: (kind, target, signal) =>
      around("delete", `${kind.kind} ${target.name}`, () => kube.delete(kind, target, signal)),
    createToken: (namespace, serviceAccount, audience, signal) =>
      around("createToken", serviceAccount, () =>
        kube.createToken(namespace, serviceAccount, audience, signal),
      ),
  };
}

export function countCalls(kube: Kube): CountedKube {
  const calls: { readonly call: Call; readonly text: string }[] = [];
  const counted = surround(kube, (call, what, run) => {
    calls.push({ call, text: `${call} ${what}` });
    return run();
  });
  return {
    ...counted,
    calls: () => calls.map(({ text }) => text),
    count: (of) => calls.filter(({ call }) => of === "any" || writes.has(call)).length,
  };
}

/**
 * Ends the process at the n-th call, counted from 1: before it takes effect, or after it did but before the caller hears
 * of it. From then on every call throws ProcessEnded and no watch gives an event.
 */
export function crashAt(kube: Kube, n: number, { when, of }: CrashOptions): Kube {
  let count = 0;
  let hasEnded = false;
  function throwIfEnded(): void {
    if (hasEnded) throw new ProcessEnded("the process has ended");
  }
  async function around<R>(call: Call, what: string, run: () => Promise<R>): Promise<R> {
    throwIfEnded();
    if (of === "any" || writes.has(call)) count += 1;
    const isLast = count === n && (of === "any" || writes.has(call));
    if (!isLast) {
      const result = await run();
      // Another call may have ended the process in the meantime.
      throwIfEnded();
      return result;
    }
    hasEnded = true;
    if (when === "after") await run();
    throw new ProcessEnded(`the process ends ${when} call ${n}: ${call} ${what}`);
  }
  async function* watch<T extends KubernetesObject>(
    ...[kind, options, signal]: Parameters<Kube["watch"]>
  ): AsyncGenerator<WatchEvent<T>> {
    throwIfEnded();
    for await (const event of kube.watch(kind as Kind<T>, options, signal)) {
      throwIfEnded();
      yield event;
    }
  }
  return surround(kube, around, watch as Kube["watch"]);
}

export interface PausedKube {
  readonly kube: Kube;
  readonly isPaused: () => boolean;
  /** Sends the call that waits. `continues`: and those after it, else the process ends with it. */
  readonly resume: (then: "continues" | "ends") => void;
}

/** Holds the n-th write, counted from 1, until `resume`: a process that stood still while another one took over. */
export function pauseAt(kube: Kube, n: number): PausedKube {
  let count = 0;
  let isPaused = false;
  let hasEnded = false;
  const resumed = Promise.withResolvers<void>();
  return {
    kube: surround(kube, async (call, _, run) => {
      if (hasEnded) throw new ProcessEnded("the process has ended");
      if (isWrite(call)) count += 1;
      if (isWrite(call) && count === n) {
        isPaused = true;
        await resumed.promise;
        const result = await run();
        if (hasEnded) throw new ProcessEnded(`the process ends after write ${n}`);
        return result;
      }
      return run();
    }),
    isPaused: () => isPaused,
    resume: (then) => {
      isPaused = false;
      hasEnded = then === "ends";
      resumed.resolve();
    },
  };
}
