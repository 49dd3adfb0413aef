import { describe, expect, test } from "vitest";

import type { AIAppStatus } from "../../crds/aiapp/status.ts";
import { AIApp } from "../../crds/aiapp/aiapp.ts";
import { styleFor } from "../terminal.ts";
import { isReady } from "./conditions.ts";
import { renderStatus } from "./render.ts";

const now = Date.parse("2026-01-02T12:00:00Z");
const hex = "0123456789abcdef".repeat(4);

function ago(seconds: number): string {
  return new Date(now - seconds * 1000).toISOString();
}

const condition = {
  observedGeneration: 2,
  lastTransitionTime: ago(90),
  message: "all is well",
};
const current = {
  id: "3fa9c1d2e4",
  image: "contoso.azurecr.io/digits:1",
  imageDigest: `sha256:${hex}`,
  modelVersion: "1",
  modelDigest: `sha256:f00d${hex.slice(4)}`,
  since: ago(7200),
  phase: "Released",
} as const;
const serving = {
  observedGeneration: 2,
  url: "http://20.31.40.52",
  replicas: 2,
  readyReplicas: 2,
  current,
  sources: {
    image: {
      reference: "contoso.azurecr.io/digits:1",
      seen: "1",
      digest: `sha256:${hex}`,
      lastCheckedAt: ago(20),
      nextCheckAt: ago(-40),
    },
    model: {
      reference: "https://contoso.blob.core.windows.net/models/digits",
      seen: "1",
      lastCheckedAt: ago(20),
      nextCheckAt: ago(-40),
    },
  },
  conditions: [
    { ...condition, type: "Ready", status: "True", reason: "Serving" },
    { ...condition, type: "SourcesReady", status: "True", reason: "Polled" },
  ],
} satisfies AIAppStatus;

function app(status: Partial<AIAppStatus> | undefined, spec: Record<string, unknown> = {}): AIApp {
  return AIApp.parse({
    apiVersion: "aiapp.dev/v1alpha1",
    kind: "AIApp",
    metadata: { name: "digits", namespace: "shop", uid: "u", generation: 2 },
    spec: {
      image: "contoso.azurecr.io/digits:1",
      modelVersion: "1",
      model: { store: "https://contoso.blob.core.windows.net/models", name: "digits" },
      ...spec,
    },
    ...(status ? { status: { ...serving, ...status } } : {}),
  });
}

function shown(...of: Parameters<typeof app>): string {
  return renderStatus(app(...of), now, styleFor(false));
}

describe("the status of a ready app", () => {
  test("shows the current release, its age, the URL, and how to try it", () => {
    const text = shown({});
    expect(text).toContain("digits in shop: Ready\n");
    expect(text).toContain("http://20.31.40.52");
    expect(text).toContain("2 of 2 ready");
    expect(text).toMatch(/release +3fa9c1d2e4 for 2h/);
    expect(text).toMatch(/image +contoso\.azurecr\.io\/digits:1 sha256:0123456789ab\n/);
    expect(text).toMatch(/model +1 sha256:f00d456789ab\n/);
    expect(text).toContain("last change 20s ago, next poll in 40s");
    expect(text).toMatch(/polling +every 1m, succeeding for 1m30s/);
    expect(text).toContain("curl http://20.31.40.52/version");
    expect(text).not.toContain("Conditions");
    expect(text).not.toContain("Candidate");
    expect(isReady(app({}))).toBe(true);
  });

  test("shows what outlives a deletion at its source, and what does not and why", () => {
    const kept = {
      image: {
        state: "Refused",
        message: "the identity may not push to contoso.azurecr.io/digits",
      },
      model: {
        state: "Kept",
        message: "https://contoso.blob.core.windows.net/models/.aiapp/kept/0",
      },
    } as const;
    const text = shown({ current: { ...current, kept } });
    expect(text).toContain("  not kept  image: the identity may not push to");
    expect(text).toContain(
      "  kept      model: https://contoso.blob.core.windows.net/models/.aiapp",
    );
    expect(shown({})).not.toContain("kept");
  });

  test("shows that only the copy is left", () => {
    const message = "the model store no longer has 1: pods that start pull the copy";
    const recoverable = { ...condition, type: "Recoverable", status: "True", message } as const;
    const conditions = [...serving.conditions, { ...recoverable, reason: "Kept" }];
    expect(shown({ conditions })).toContain(`    ${message}`);
    const whole = [...serving.conditions, { ...recoverable, reason: "Recoverable" }];
    expect(shown({ conditions: whole })).not.toContain(message);
  });

  test("shows the candidate and its phase, but not the current release twice", () => {
    const candidate = {
      ...current,
      id: "8b00000000",
      modelVersion: "2",
      phase: "RollingOut" as const,
      since: ago(12),
    };
    const text = shown({ candidate });
    expect(text).toContain("Candidate RollingOut");
    expect(text).toMatch(/release +8b00000000 for 12s/);
    expect(text).toMatch(/model +2 /);
    expect(shown({ candidate: current })).not.toContain("Candidate");
  });
});

describe("the status of an app with a problem", () => {
  test("shows the conditions that report a problem, with message, age and a command", () => {
    const text = shown({
      conditions: [
        { ...condition, type: "Ready", status: "True", reason: "Serving" },
        {
          ...condition,
          type: "Released",
          status: "False",
          reason: "ModelLoadFailed",
          message: "model.onnx is cut off\nat byte 12",
        },
      ],
    });
    expect(text).toContain("Released=False ModelLoadFailed for 1m30s");
    expect(text).toContain("    model.onnx is cut off\n    at byte 12");
    expect(text).toContain(
      "→ kubectl logs --namespace shop --selector aiapp.dev/app=digits,aiapp.dev/release=3fa9c1d2e4 --container server --previous --ignore-errors",
    );
    expect(text).toContain("kubectl describe aiapp digits --namespace shop");
    expect(text).not.toContain("Ready=True");
  });

  test("shows the publish command for a missing model", () => {
    const text = shown({
      conditions: [
        { ...condition, type: "SourcesReady", status: "False", reason: "ModelNotFound" },
      ],
    });
    expect(text).toContain(
      "→ aiapp publish <folder> --to https://contoso.blob.core.windows.net/models/digits/1",
    );
  });

  test.each(["latest", ">=7 <8", "7.x"])(
    "leaves the version open in the publish command when the app follows %s",
    (modelVersion) => {
      for (const reason of ["ModelNotFound", "ModelIncomplete"] as const) {
        const text = shown(
          { conditions: [{ ...condition, type: "SourcesReady", status: "False", reason }] },
          { modelVersion },
        );
        expect(text).toContain("models/digits/<version>\n");
      }
    },
  );

  test("adds --any-version where publish would refuse the version that the app names", () => {
    const conditions = [
      { ...condition, type: "SourcesReady", status: "False", reason: "ModelNotFound" } as const,
    ];
    expect(shown({ conditions }, { modelVersion: "prod" })).toContain(
      "models/digits/prod --any-version\n",
    );
    expect(shown({ conditions }, { modelVersion: 7 })).toContain("models/digits/7\n");
  });

  const secrets = "→ kubectl get secrets --namespace shop";
  const account = "→ kubectl describe serviceaccount digits --namespace shop";
  test.each([
    ["StorageAuthFailed", {}, account],
    ["RegistryAuthFailed", {}, account],
    ["CredentialsMissing", {}, account],
    ["StorageAuthFailed", { credentials: { storage: "s" } }, secrets],
    ["RegistryAuthFailed", { credentials: { storage: "s" } }, account],
    ["RegistryAuthFailed", { credentials: { registry: "r" } }, secrets],
    ["CredentialsMissing", { credentials: { storage: "s" } }, account],
    ["CredentialsMissing", { credentials: { storage: "s", registry: "r" } }, secrets],
    ["CredentialsMissing", { credentials: { storage: "s", anonymous: ["Registry"] } }, secrets],
    [
      "StorageAuthFailed",
      { credentials: { anonymous: ["Storage"] } },
      "→ kubectl edit aiapp digits",
    ],
    ["StorageAuthFailed", { serviceAccountName: "theirs" }, "serviceaccount theirs --namespace"],
  ] as const)(
    "hints for %s under %j at the identity that reads the source",
    (reason, spec, hint) => {
      const text = shown(
        { conditions: [{ ...condition, type: "SourcesReady", status: "False", reason }] },
        spec,
      );
      expect(text).toContain(hint);
    },
  );

  test("shows the last error of a source, and since when polling fails", () => {
    const model = { ...serving.sources.model, lastError: "StorageAuthFailed: 403" };
    const failing = {
      ...condition,
      type: "SourcesReady",
      status: "False",
      reason: "StorageAuthFailed",
    } as const;
    const text = shown({ sources: { model }, conditions: [failing] });
    expect(text).toContain("error: StorageAuthFailed: 403");
    expect(text).toMatch(/polling +every 1m, failing for 1m30s: StorageAuthFailed/);
  });

  test("does not report old times of polls as a problem while SourcesReady is True", () => {
    const image = { ...serving.sources.image, lastCheckedAt: ago(7200), nextCheckAt: ago(7140) };
    const text = shown({ sources: { image } }, { interval: "5s" });
    expect(text).toContain("newest 1, sha256:0123456789ab, last change 2h ago\n");
    expect(text).toMatch(/polling +every 5s, succeeding for 1m30s/);
    expect(text).not.toMatch(/late|overdue|checked/);
  });

  test("shows sources without times, and that the first poll is outstanding", () => {
    const image = { reference: "contoso.azurecr.io/digits:1", seen: "1" };
    const unknown = {
      ...condition,
      type: "SourcesReady",
      status: "Unknown",
      reason: "WaitingForSources",
    } as const;
    const text = shown({ sources: { image }, conditions: [unknown] });
    expect(text).toContain("newest 1\n");
    expect(text).toMatch(/polling +every 1m, waiting for the first poll/);
  });

  test("is Stalled or not ready in the headline, with the reason", () => {
    const notReady = {
      ...condition,
      type: "Ready",
      status: "False",
      reason: "PodCrashing",
    } as const;
    expect(shown({ conditions: [notReady] })).toContain("digits in shop: not ready, PodCrashing");
    const stalled = {
      ...condition,
      type: "Stalled",
      status: "True",
      reason: "InvalidSpec",
    } as const;
    expect(shown({ conditions: [notReady, stalled] })).toContain("Stalled, InvalidSpec");
    expect(isReady(app({ conditions: [notReady] }))).toBe(false);
  });

  test("is not ready before the operator has reconciled the latest generation", () => {
    expect(shown({ observedGeneration: 1 })).toContain("has not reconciled the latest change");
    expect(isReady(app({ observedGeneration: 1 }))).toBe(false);
  });

  test("asks whether an operator runs when status is empty", () => {
    for (const status of [
      undefined,
      { observedGeneration: -1, conditions: [], current: undefined },
    ]) {
      const text = shown(status);
      expect(text).toContain("no operator has reconciled it yet");
      expect(text).toContain("Is the operator running?");
    }
    expect(isReady(app(undefined))).toBe(false);
  });

  test("shows that the app is suspended", () => {
    expect(shown({}, { suspend: true })).toContain("Ready (suspended)");
  });

  test("lists quarantined releases with their reason", () => {
    const quarantined = [
      { id: "bad0000000", reason: "PodCrashing", message: "exit 1", since: ago(5) },
    ];
    expect(shown({ quarantined })).toContain("Quarantined bad0000000: PodCrashing\n  exit 1");
  });

  test("shows the command that tries a failed release again, and at most five of them", () => {
    const quarantined = Array.from({ length: 7 }, (_, index) => ({
      id: `bad000000${index}`,
      reason: "VerificationFailed",
      message: "wrong",
      since: ago(5),
    }));
    const text = shown({ quarantined });
    expect(text).toContain("→ aiapp retry digits bad0000000 --namespace shop");
    expect(text).not.toContain("bad0000005");
    expect(text).toContain("2 more failed: aiapp history digits --namespace shop");
  });

  test("points at the journal of a release that was undone, as its pods are gone", () => {
    const quarantined = [
      { id: "bad0000000", reason: "PodCrashing", message: "exit 1", since: ago(5) },
    ];
    const conditions = [
      { ...condition, type: "Released", status: "False", reason: "PodCrashing" } as const,
    ];
    const text = shown({ quarantined, conditions });
    expect(text).toContain("→ aiapp history digits bad0000000 --namespace shop");
    expect(text).not.toContain("kubectl logs");
  });

  test.each([
    ["Settling", "aiapp release digits --now --namespace shop"],
    ["Verifying", "aiapp.dev/app=digits,aiapp.dev/role=verification"],
    ["AwaitingApproval", "aiapp approve digits --namespace shop"],
    ["Scheduled", "aiapp release digits --now --namespace shop"],
    ["RollingOut", "kubectl get pods --namespace shop --selector aiapp.dev/app=digits"],
  ] as const)("explains once why the candidate is %s, with a command", (phase, hint) => {
    const message = `release 8b00000000 is ${phase} for a reason`;
    const released = { ...condition, type: "Released", status: "False", reason: phase } as const;
    const text = shown({
      candidate: { ...current, id: "8b00000000", phase },
      conditions: [
        { ...released, message },
        { ...released, message, type: "Ready" },
      ],
    });
    expect(text).toContain(`Candidate ${phase}\n`);
    expect(text.split(message)).toHaveLength(2);
    expect(text.split(`→ `)).toHaveLength(2);
    expect(text).toContain(hint);
    expect(text).toContain(`Ready=False ${phase}`);
  });

  test("shows what the autoscaler lacks, with the command that says more", () => {
    const message = "the HorizontalPodAutoscaler does not scale: FailedGetResourceMetric: none";
    const idle = { ...condition, type: "Autoscaling", status: "False" } as const;
    const text = shown({
      conditions: [...serving.conditions, { ...idle, reason: "ScalingInactive", message }],
    });
    expect(text).toContain("Autoscaling=False ScalingInactive");
    expect(text).toContain(message);
    expect(text).toContain("→ kubectl describe horizontalpodautoscaler digits --namespace shop");
  });

  test("shows restarts and evictions, and what others added to the pods, each on one line", () => {
    const text = shown({
      disruptions: {
        restarts: 3,
        evictions: 1,
        message: "pod digits-1 was evicted: low\non memory",
      },
      unmanagedEntries: ["containers[server].env[DEBUG]", "volumes[x]"],
    });
    expect(text).toContain("\n  pods      pod digits-1 was evicted: low on memory\n");
    expect(text).toContain("\n  added     containers[server].env[DEBUG], volumes[x], by others\n");
  });

  test("shows when a scheduled release begins, and who asked for it", () => {
    const candidate = {
      ...current,
      id: "8b00000000",
      phase: "Scheduled" as const,
      by: "kubectl-annotate at 2026-01-02T11:00:00Z",
    };
    const text = shown({ candidate, nextReleaseTime: "2026-01-03T02:00:00Z" });
    expect(text).toMatch(/scheduled +at 2026-01-03T02:00:00Z, in 14h/);
    expect(text).toContain("by kubectl-annotate at 2026-01-02T11:00:00Z");
  });

  test("shows a hold, and how to end it", () => {
    const held = app({});
    held.metadata.annotations = { "aiapp.dev/hold": "3fa9c1d2e4" };
    expect(renderStatus(held, now, styleFor(false))).toContain(
      "Held at release 3fa9c1d2e4: the operator releases nothing else\n  → aiapp resume digits --namespace shop",
    );
    const invalid = { ...condition, type: "Stalled", status: "True", reason: "HoldInvalid" };
    expect(shown({ conditions: [invalid as never] })).toContain(
      "→ aiapp rollback digits --to '<release>' --namespace shop, or aiapp resume digits",
    );
  });

  test("quotes what a tenant wrote in a command that people paste", () => {
    const model = { store: "https://contoso.example/$(id)'x", name: "digits" };
    const conditions = [
      { ...condition, type: "SourcesReady", status: "False", reason: "ModelNotFound" } as const,
    ];
    expect(shown({ conditions }, { model })).toContain(
      "--to 'https://contoso.example/$(id)'\\''x/digits'/1\n",
    );
  });
});

describe("hostile text in the status", () => {
  // A clear-screen, a window title, a one-byte CSI, a carriage return, an override, an isolate, and a forged line.
  const hostile = "\u001b[2J\u001b]0;owned\u0007\u009b2J\r\u202e\u2066\u061c\u2028\nReady";

  /** The same object with a suffix on each string that is not a number, a time or a fixed value. */
  function poison(value: unknown, key = ""): unknown {
    if (typeof value === "string")
      return key === "type" || key === "status" ? value : value + hostile;
    if (Array.isArray(value)) return value.map((item) => poison(item, key));
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(
      Object.entries(value).map(([name, item]) => [name, poison(item, name)]),
    );
  }

  const model = { ...serving.sources.model, lastError: "403", digest: "sha256:1" };
  const everything = app({
    candidate: { ...current, id: "8b00000000", phase: "RollingOut" },
    quarantined: [{ id: "bad0000000", reason: "PodCrashing", message: "exit 1", since: ago(5) }],
    nextReleaseTime: ago(-60),
    sources: { ...serving.sources, model },
    conditions: [
      { ...condition, type: "Ready", status: "False", reason: "PodCrashing" },
      { ...condition, type: "SourcesReady", status: "False", reason: "ModelNotFound" },
      { ...condition, type: "Stalled", status: "True", reason: "PodCrashing" },
      { ...condition, type: "Reconciling", status: "True", reason: "Progressing" },
    ],
  });

  test.each([true, false])("cannot drive a terminal, with colours: %s", (colours) => {
    // Reasons stay what they are, so that their hints are shown as well.
    for (const keep of [false, true]) {
      const poisoned = poison(everything) as AIApp;
      if (keep) {
        everything.status?.conditions?.forEach(({ reason }, index) => {
          const target = poisoned.status?.conditions?.[index];
          if (target !== undefined) target.reason = reason;
        });
      }
      const text = renderStatus(poisoned, now, styleFor(colours));
      // eslint-disable-next-line no-control-regex
      const unstyled = text.replace(/\u001b\[(1|2|22|31|32|33|39)m/g, "");
      expect(unstyled).not.toBe(colours ? text : "");
      // eslint-disable-next-line no-control-regex
      expect(unstyled).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/);
      expect(unstyled).not.toMatch(/\p{Bidi_Control}|[\u2028\u2029]/u);
      // Only messages have lines of their own, and those are indented.
      expect(unstyled).not.toMatch(/^Ready/m);
    }
  });
});
