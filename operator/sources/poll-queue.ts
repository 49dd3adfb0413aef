/**
 * Which poll begins next, over all hosts. No namespace can keep another one waiting: namespaces take turns, and one
 * without a poll in flight may begin one although all shared slots are taken by polls that hang.
 */
export interface PollTask {
  readonly host: string;
  /** The namespace that the poll counts for. */
  readonly namespace: string;
  readonly run: () => Promise<void>;
}

const MAX_PER_HOST = 4;
const MAX_PER_NAMESPACE = 16;
/** Polls in flight that namespaces compete for. */
const MAX_SHARED = 32;
/** With those that namespaces begin beyond the shared slots, one each. */
const MAX_TOTAL = 256;

export class PollQueue {
  /** Tasks by namespace and host, first in, first out. The first namespace is the next one to have its turn. */
  readonly #waiting = new Map<string, Map<string, PollTask[]>>();
  readonly #byHost = new Map<string, number>();
  readonly #byNamespace = new Map<string, number>();
  #running = 0;
  readonly #idle: (() => void)[] = [];

  add(task: PollTask): void {
    const { host, namespace } = task;
    const hosts = this.#waiting.get(namespace) ?? new Map<string, PollTask[]>();
    this.#waiting.set(namespace, hosts);
    const tasks = hosts.get(host);
    if (tasks === undefined) hosts.set(host, [task]);
    else tasks.push(task);
    this.#pump();
  }

  /** Tasks of a namespace that wait or run. */
  loadOf(namespace: string): number {
    let load = this.#byNamespace.get(namespace) ?? 0;
    for (const tasks of this.#waiting.get(namespace)?.values() ?? []) load += tasks.length;
    return load;
  }

  /** Resolves when no task waits or runs. */
  onIdle(): Promise<void> {
    if (this.#running === 0 && this.#waiting.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#idle.push(resolve);
    });
  }

  #pump(): void {
    for (let task = this.#next(); task !== undefined; task = this.#next()) void this.#run(task);
    if (this.#running === 0 && this.#waiting.size === 0)
      for (const resolve of this.#idle.splice(0)) resolve();
  }

  /** Takes the first task that may begin, and moves its namespace to the end. */
  #next(): PollTask | undefined {
    for (const [namespace, hosts] of this.#waiting) {
      if (!this.#mayBegin(namespace)) continue;
      for (const [host, tasks] of hosts) {
        if ((this.#byHost.get(host) ?? 0) >= MAX_PER_HOST) continue;
        const task = tasks.shift();
        hosts.delete(host);
        if (tasks.length > 0) hosts.set(host, tasks);
        this.#waiting.delete(namespace);
        if (hosts.size > 0) this.#waiting.set(namespace, hosts);
        return task;
      }
    }
    return undefined;
  }

  #mayBegin(namespace: string): boolean {
    const running = this.#byNamespace.get(namespace) ?? 0;
    if (running === 0) return this.#running < MAX_TOTAL;
    return running < MAX_PER_NAMESPACE && this.#running < MAX_SHARED;
  }

  /** @param run reports its own failures: it never rejects */
  async #run({ host, namespace, run }: PollTask): Promise<void> {
    this.#running += 1;
    add(this.#byHost, host, 1);
    add(this.#byNamespace, namespace, 1);
    try {
      await run();
    } finally {
      this.#running -= 1;
      add(this.#byHost, host, -1);
      add(this.#byNamespace, namespace, -1);
      this.#pump();
    }
  }
}

/** A count of zero is forgotten: tenants choose the keys. */
function add(counts: Map<string, number>, key: string, change: number): void {
  const count = (counts.get(key) ?? 0) + change;
  if (count === 0) counts.delete(key);
  else counts.set(key, count);
}
