import { describe, expect, test } from "vitest";

import type { AIAppStatus } from "../../crds/aiapp.ts";
import { AIApp } from "../../crds/aiapp.ts";
import { styleFor } from "../terminal.ts";
import { isReady } from "./judge.ts";
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

describe("the status of an app that serves", () => {
  test("says what serves, since when, from where, and how to try it", () => {
    const text = shown({});
    expect(text).toContain("digits in shop: Ready\n");
    expect(text).toContain("http://20.31.40.52");
    expect(text).toContain("2 of 2 ready");
    expect(text).toMatch(/release +3fa9c1d2e4 since 2h/);
    expect(text).toMatch(/image +contoso\.azurecr\.io\/digits:1 sha256:0123456789ab\n/);
    expect(text).toMatch(/model +1 sha256:f00d456789ab\n/);
    expect(text).toContain("checked 20s ago, next in 40s");
    expect(text).toContain("curl http://20.31.40.52/version");
    expect(text).not.toContain("Conditions");
    expect(text).not.toContain("Coming");
    expect(isReady(app({}))).toBe(true);
  });

  test("shows what is coming and its phase, but not the current release again", () => {
    const candidate = {
      ...current,
      id: "8b00000000",
      modelVersion: "2",
      phase: "RollingOut" as const,
      since: ago(12),
    };
    const text = shown({ candidate });
    expect(text).toContain("Coming RollingOut");
    expect(text).toMatch(/release +8b00000000 for 12s/);
    expect(text).toMatch(/model +2 /);
    expect(shown({ candidate: current })).not.toContain("Coming");
  });
});

describe("the status of an app with a problem", () => {
  test("shows the conditions that are not fine, with message, age and the command that helps", () => {
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
      "→ kubectl logs --namespace shop --selector aiapp.dev/app=digits --container server",
    );
    expect(text).toContain("kubectl describe aiapp digits --namespace shop");
    expect(text).not.toContain("Ready=True");
  });

  test("says which version to publish where when the model is not there", () => {
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
    "leaves the version to the publisher when the app follows %s",
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

  test("says --any-version where publish would refuse the version that the app names", () => {
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
    "looks for the cause of %s under %j where the source is read from",
    (reason, spec, hint) => {
      const text = shown(
        { conditions: [{ ...condition, type: "SourcesReady", status: "False", reason }] },
        spec,
      );
      expect(text).toContain(hint);
    },
  );

  test("shows the last error of a source and a check that is overdue", () => {
    const model = {
      ...serving.sources.model,
      lastError: "StorageAuthFailed: 403",
      nextCheckAt: ago(130),
    };
    const text = shown({ sources: { model } });
    expect(text).toContain("error: StorageAuthFailed: 403");
    expect(text).toContain("next check 2m10s late");
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

  test("is not ready while the operator has not seen the latest change", () => {
    expect(shown({ observedGeneration: 1 })).toContain("has not acted on the latest change");
    expect(isReady(app({ observedGeneration: 1 }))).toBe(false);
  });

  test("asks whether an operator runs when none has ever written a status", () => {
    for (const status of [
      undefined,
      { observedGeneration: -1, conditions: [], current: undefined },
    ]) {
      const text = shown(status);
      expect(text).toContain("not seen by an operator yet");
      expect(text).toContain("Is the operator running?");
    }
    expect(isReady(app(undefined))).toBe(false);
  });

  test("that is suspended says so", () => {
    expect(shown({}, { suspend: true })).toContain("Ready (suspended)");
  });

  test("lists what is quarantined and why", () => {
    const quarantined = [
      { id: "bad0000000", reason: "PodCrashing", message: "exit 1", since: ago(5) },
    ];
    expect(shown({ quarantined })).toContain("Quarantined bad0000000: PodCrashing\n  exit 1");
  });

  test("cannot drive the terminal by what it holds", () => {
    const conditions = [
      {
        ...condition,
        type: "Ready",
        status: "False",
        reason: "X",
        message: "\u001b]0;owned\u0007",
      } as const,
    ];
    expect(shown({ conditions })).not.toContain("\u001b");
  });
});
