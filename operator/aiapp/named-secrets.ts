import { isDeepStrictEqual } from "node:util";

import type { AIApp } from "../../crds/aiapp/aiapp.ts";
import type { Clock } from "../clock.ts";
import { isOperatorError } from "../errors.ts";
import type { Kube } from "../kube/client.ts";
import { kinds, type V1Secret } from "../kube/types.ts";
import { splitKey } from "../runtime/key.ts";
import type { Outcome, Queue, StartQueue } from "../runtime/queue.ts";
import type { SecretData } from "../sources/identity.ts";

export interface NamedSecretsParts {
  readonly kube: Pick<Kube, "get">;
  readonly clock: Clock;
  /** Starts the queue of Secrets: it gives each to one worker at a time, and brings back with back-off what fails. */
  readonly start: StartQueue;
  /** A Secret that the app names has other data, is new or gone, or may no longer be read. */
  readonly onChange: (app: string) => void;
}

/** How soon another key in a Secret takes effect, or its absence shows, at the latest. */
const EVERY_MS = 60_000;
/** So long one read serves all that ask for the Secret: several sources of an app, and the apps of a namespace. */
const FRESH_MS = 10_000;

/** What a read found: the same object for as long as the data is the same; or the code of what keeps it from being read. */
type Found = SecretData | undefined | typeof FORBIDDEN;

const FORBIDDEN = "KUBE_FORBIDDEN";

interface Entry {
  /** The apps that name the Secret. */
  readonly apps: Set<string>;
  found?: { readonly value: Found; readonly at: number };
  reading: Promise<SecretData | undefined> | undefined;
}

/**
 * The Secrets that AIApps name in `spec.credentials`. They are not watched: the right to watch them is the right to list all
 * Secrets of a namespace. Each is read once a minute for all of its apps; a read that finds it changed makes them due.
 * Nothing is kept that a restart may not lose.
 */
export class NamedSecrets {
  readonly #parts: NamedSecretsParts;
  readonly #queue: Queue;
  /** By `namespace/name`. */
  readonly #entries = new Map<string, Entry>();
  /** By app, the keys of what it names. */
  readonly #named = new Map<string, readonly string[]>();

  constructor(parts: NamedSecretsParts) {
    this.#parts = parts;
    this.#queue = parts.start(async (key, signal) => this.#look(key, signal));
  }

  /**
   * Replaces what is read for an app, before it is read.
   *
   * @param app `namespace/name`
   */
  follow(app: string, names: readonly string[]): void {
    const { namespace } = splitKey(app);
    const keys = [...new Set(names)].map((name) => `${namespace}/${name}`);
    const before = this.#named.get(app) ?? [];
    if (keys.length > 0) this.#named.set(app, keys);
    else this.#named.delete(app);
    for (const key of keys) this.#entry(key).apps.add(app);
    for (const key of before) if (!keys.includes(key)) this.#leave(key, app);
  }

  /** The data of a Secret that an app names, at most a few seconds old; undefined when it does not exist. */
  async read(
    namespace: string,
    name: string,
    signal: AbortSignal,
  ): Promise<SecretData | undefined> {
    const key = `${namespace}/${name}`;
    const entry = this.#entries.get(key);
    if (entry === undefined) return this.#fetch(key, undefined, signal);
    const { found } = entry;
    const isFresh = found !== undefined && this.#parts.clock.now() - found.at < FRESH_MS;
    if (isFresh && found.value !== FORBIDDEN) return found.value;
    return this.#refresh(key, entry, signal);
  }

  #entry(key: string): Entry {
    const present = this.#entries.get(key);
    if (present !== undefined) return present;
    const entry: Entry = { apps: new Set(), reading: undefined };
    this.#entries.set(key, entry);
    // Those of many apps that a restart finds at once are read one after the other.
    this.#queue.addAfter(key, EVERY_MS * this.#parts.clock.random(), "background");
    return entry;
  }

  #leave(key: string, app: string): void {
    const entry = this.#entries.get(key);
    entry?.apps.delete(app);
    if (entry?.apps.size === 0) this.#entries.delete(key);
  }

  async #look(key: string, signal: AbortSignal): Promise<Outcome> {
    const entry = this.#entries.get(key);
    if (entry === undefined) return { kind: "done" };
    try {
      await this.#refresh(key, entry, signal);
    } catch (error) {
      // Its apps report that.
      if (!isOperatorError(error, FORBIDDEN)) throw error;
    }
    return { kind: "requeue", afterMs: EVERY_MS };
  }

  /** A read in flight serves all that ask meanwhile. */
  async #refresh(key: string, entry: Entry, signal: AbortSignal): Promise<SecretData | undefined> {
    entry.reading ??= this.#load(key, entry, signal).finally(() => {
      entry.reading = undefined;
    });
    return entry.reading;
  }

  async #load(key: string, entry: Entry, signal: AbortSignal): Promise<SecretData | undefined> {
    const before = entry.found?.value;
    try {
      const value = await this.#fetch(key, before === FORBIDDEN ? undefined : before, signal);
      this.#keep(entry, value);
      return value;
    } catch (error) {
      if (isOperatorError(error, FORBIDDEN)) this.#keep(entry, FORBIDDEN);
      throw error;
    }
  }

  #keep(entry: Entry, value: Found): void {
    const { clock, onChange } = this.#parts;
    const { found } = entry;
    entry.found = { value, at: clock.now() };
    if (found !== undefined && found.value !== value) for (const app of entry.apps) onChange(app);
  }

  /** @returns `before` if the data is the same */
  async #fetch(
    key: string,
    before: SecretData | undefined,
    signal: AbortSignal,
  ): Promise<SecretData | undefined> {
    const { namespace, name } = splitKey(key);
    const secret = await this.#parts.kube.get(kinds.secret, namespace, name, signal);
    if (secret === undefined) return undefined;
    const data = decoded(secret);
    return before !== undefined && isDeepStrictEqual(before.data, data)
      ? before
      : { namespace, name, data };
  }
}

/** The names of the Secrets that the operator reads for an app. */
export function secretsOf({ spec }: AIApp): readonly string[] {
  const { storage, registry } = spec.credentials ?? {};
  return [storage, registry].filter((name) => name !== undefined);
}

function decoded({ data = {} }: V1Secret): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(data).map(([key, value]) => [
      key,
      Buffer.from(value, "base64").toString("utf8"),
    ]),
  );
}
