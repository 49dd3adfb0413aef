import type { Engine } from "./engine/engine.ts";
import type { Model } from "./inference/model.ts";

export interface Health {
  readonly ready: boolean;
  /** False when only a new process helps. */
  readonly live: boolean;
  /** Why it is not ready. */
  readonly reason?: string;
}

/** What the probes answer. */
export function healthOf(model: Model | undefined, engine: Engine | undefined): Health {
  const state = engine?.state() ?? "loading";
  switch (state) {
    case "ready":
      return model === undefined
        ? { ready: false, live: true, reason: "the model is being loaded" }
        : { ready: true, live: true };
    case "loading":
      return { ready: false, live: true, reason: "the model is being loaded" };
    case "slow":
      return { ready: false, live: true, reason: "a run takes longer than a request may" };
    case "hung":
      return { ready: false, live: false, reason: "a run hangs: the server must be restarted" };
    case "failed":
      return {
        ready: false,
        live: false,
        reason: "the model's workers keep dying: the server must be restarted",
      };
  }
}
