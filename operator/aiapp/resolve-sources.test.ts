import { describe, expect, it } from "vitest";

import { AIApp } from "../../crds/aiapp/aiapp.ts";
import { ManualClock } from "../clock.testing.ts";
import { OperatorError } from "../errors.ts";
import type { Kube } from "../kube/client.ts";
import type { Identity } from "../sources/identity.ts";
import type { ModelCopies } from "../sources/keep/model-copies.ts";
import type { ModelStore } from "../sources/model/model-store.ts";
import type { ImageRegistry } from "../sources/registry/image-registry.ts";
import { NamedSecrets } from "./named-secrets.ts";
import { noPolicies } from "./policy-view.ts";
import { createSourceResolver } from "./resolve-sources.ts";

const signal = new AbortController().signal;
const CLIENT_ID = "azure.workload.identity/client-id";
const TENANT_ID = "azure.workload.identity/tenant-id";

/** Objects by `<plural>/<namespace>/<name>`, and a resolver that reads them; sources record the identities that they use. */
function world(tenantId = "", policies = noPolicies) {
  const clock = new ManualClock();
  const objects = new Map<string, object | Error>();
  const reads: string[] = [];
  const identities: Identity[] = [];
  const get = async (
    { plural }: { readonly plural: string },
    namespace: string,
    name: string,
  ): Promise<unknown> => {
    const key = `${plural}/${namespace}/${name}`;
    reads.push(key);
    const found = objects.get(key);
    if (found instanceof Error) throw found;
    return found;
  };
  const registry: ImageRegistry = {
    resolve: async (_, identity) => {
      identities.push(identity);
      return `sha256:${"a".repeat(64)}`;
    },
    listTags: async () => [],
    lastPush: async () => undefined,
    readManifest: async () => ({ mediaType: "application/json", text: "{}" }),
    writeManifest: async () => "refused",
  };
  const models: ModelStore = {
    listVersions: async (_, identity) => {
      identities.push(identity);
      return [];
    },
    readManifest: async (_, __, ___, identity) => {
      identities.push(identity);
      return undefined;
    },
    listFiles: async () => [],
  };
  // Of the port, `get` is the only part that the resolver has; its type parameter is the kind's.
  const kube = { get } as unknown as Pick<Kube, "get">;
  // What happens in the course of time is tested in `named-secrets.test.ts`.
  const idle = { add: () => {}, addAfter: () => {}, close: async () => {} };
  const secrets = new NamedSecrets({ kube, clock, start: () => idle, onChange: () => {} });
  secrets.follow("shop/cats", ["models", "login"]);
  const copies: ModelCopies = {
    copy: async () => "changed",
    write: async () => "changed",
    setMetadata: async () => "changed",
    remove: async () => "changed",
  };
  const resolver = createSourceResolver({
    kube,
    secrets,
    policies,
    clock,
    registry,
    models,
    copies,
    tenantId,
  });
  return { clock, objects, reads, identities, resolver };
}

function app(spec: object = {}): AIApp {
  return AIApp.parse({
    apiVersion: "aiapp.dev/v1alpha1",
    kind: "AIApp",
    metadata: { name: "cats", namespace: "shop", uid: "1", generation: 1 },
    spec: {
      image: "contoso.azurecr.io/cats:1.4",
      modelVersion: "7",
      model: { store: "https://contoso.blob.core.windows.net/models", name: "cats" },
      ...spec,
    },
  });
}

function account(annotations: Readonly<Record<string, string>>): object {
  return { metadata: { annotations } };
}

function secret(data: Readonly<Record<string, string>>): object {
  const encoded = Object.entries(data).map(([key, value]) => [key, btoa(value)]);
  return { data: Object.fromEntries(encoded) };
}

type World = ReturnType<typeof world>;

/** The identity that reads the model, by the store's own report. */
async function storageIdentity({ resolver, identities }: World, one: AIApp): Promise<Identity> {
  const resolved = await resolver.model(one, signal);
  if ("error" in resolved) throw new Error(resolved.error.message);
  identities.length = 0;
  await resolved.source.poll(undefined, signal).catch(() => {});
  const [identity] = identities;
  if (identity === undefined) throw new Error("the store was not read");
  return identity;
}

describe("a workload identity", () => {
  const key = "serviceaccounts/shop/cats";

  it("comes from the annotations of the ServiceAccount that is named after the app", async () => {
    const one = world("the operator's tenant");
    one.objects.set(key, account({ [CLIENT_ID]: "client", [TENANT_ID]: "tenant" }));
    expect(await storageIdentity(one, app())).toEqual({
      kind: "workload",
      namespace: "shop",
      serviceAccount: "cats",
      clientId: "client",
      tenantId: "tenant",
    });
  });

  it("is of the ServiceAccount that the spec names, and of the operator's tenant by default", async () => {
    const one = world("the operator's tenant");
    one.objects.set("serviceaccounts/shop/reader", account({ [CLIENT_ID]: "client" }));
    expect(await storageIdentity(one, app({ serviceAccountName: "reader" }))).toMatchObject({
      serviceAccount: "reader",
      tenantId: "the operator's tenant",
    });
  });

  it.each([
    { what: "no ServiceAccount", annotations: undefined, tenant: "t", missing: CLIENT_ID },
    { what: "no client id", annotations: { [TENANT_ID]: "t" }, tenant: "", missing: CLIENT_ID },
    {
      what: "an empty client id",
      annotations: { [CLIENT_ID]: "" },
      tenant: "t",
      missing: CLIENT_ID,
    },
    { what: "no tenant id", annotations: { [CLIENT_ID]: "c" }, tenant: "", missing: TENANT_ID },
    {
      what: "an empty tenant id",
      annotations: { [CLIENT_ID]: "c", [TENANT_ID]: "" },
      tenant: "t",
      missing: TENANT_ID,
    },
    {
      what: "neither",
      annotations: {},
      tenant: "",
      missing: `${CLIENT_ID} and ${TENANT_ID}`,
    },
  ])("needs both ids: with $what the error names it", async ({ annotations, tenant, missing }) => {
    const one = world(tenant);
    if (annotations !== undefined) one.objects.set(key, account(annotations));
    const message = `no identity to read with: annotate ServiceAccount shop/cats with ${missing}, name a Secret in spec.credentials, or allow anonymous reads in spec.credentials.anonymous`;
    const error = { code: "CREDENTIALS_MISSING", message, since: one.clock.now() };
    expect(await one.resolver.model(app(), signal)).toEqual({
      reference: "https://contoso.blob.core.windows.net/models/cats/7",
      error,
    });
    expect(await one.resolver.image(app(), signal)).toEqual({
      reference: "contoso.azurecr.io/cats:1.4",
      error,
    });
  });
});

describe("a Secret", () => {
  const credentials = { storage: "models", registry: "login" };

  it("opens the store with its key, and the registry with its login", async () => {
    const one = world();
    const auth = btoa("cat:meow");
    const config = JSON.stringify({ auths: { "contoso.azurecr.io": { auth } } });
    one.objects.set("secrets/shop/models", secret({ accountName: "contoso", accountKey: "a2V5" }));
    one.objects.set("secrets/shop/login", secret({ ".dockerconfigjson": config }));
    expect(await storageIdentity(one, app({ credentials }))).toEqual({
      kind: "accountKey",
      accountName: "contoso",
      accountKey: "a2V5",
    });
    const image = await one.resolver.image(app({ credentials }), signal);
    if ("error" in image) throw new Error(image.error.message);
    one.identities.length = 0;
    await image.source.poll(undefined, signal);
    expect(one.identities).toEqual([{ kind: "basic", username: "cat", password: "meow" }]);
    expect(one.reads).not.toContain("serviceaccounts/shop/cats");
  });

  it("that does not exist is named, with the namespace", async () => {
    const one = world();
    expect(await one.resolver.model(app({ credentials }), signal)).toMatchObject({
      error: {
        code: "SECRET_NOT_FOUND",
        message: "Secret shop/models, which spec.credentials names, does not exist: create it",
      },
    });
  });

  it.each([
    { data: undefined, lacks: "the keys accountName and accountKey, or the key sasToken" },
    { data: { accountName: "contoso" }, lacks: "the key accountKey" },
    { data: { accountKey: "a2V5" }, lacks: "the key accountName" },
  ])("with $data lacks $lacks", async ({ data, lacks }) => {
    const one = world();
    one.objects.set("secrets/shop/models", data === undefined ? {} : secret(data));
    expect(await one.resolver.model(app({ credentials }), signal)).toMatchObject({
      error: {
        code: "SECRET_INVALID",
        message: `Secret shop/models lacks ${lacks}: add it, and check its spelling`,
      },
    });
  });

  it("without the login's key is reported by the image", async () => {
    const one = world();
    one.objects.set("secrets/shop/login", secret({ password: "meow" }));
    expect(await one.resolver.image(app({ credentials }), signal)).toMatchObject({
      error: {
        code: "SECRET_INVALID",
        message: expect.stringContaining("Secret shop/login lacks the key .dockerconfigjson"),
      },
    });
  });

  it("is read once for ten seconds, then again: a rotated key takes effect", async () => {
    const one = world();
    const sas = (sasToken: string): object => secret({ sasToken });
    one.objects.set("secrets/shop/models", sas("old"));
    expect(await storageIdentity(one, app({ credentials }))).toMatchObject({ sasToken: "old" });
    one.objects.set("secrets/shop/models", sas("new"));
    await one.clock.advance(9999);
    expect(await storageIdentity(one, app({ credentials }))).toMatchObject({ sasToken: "old" });
    expect(one.reads).toHaveLength(1);
    await one.clock.advance(2);
    expect(await storageIdentity(one, app({ credentials }))).toMatchObject({ sasToken: "new" });
    expect(one.reads).toHaveLength(2);
  });

  it("is read once for all that need it at the same time", async () => {
    const one = world();
    one.objects.set("secrets/shop/models", secret({ sasToken: "sig" }));
    await Promise.all(
      [1, 2, 3].map((version) =>
        one.resolver.model(app({ credentials, modelVersion: version }), signal),
      ),
    );
    expect(one.reads).toEqual(["secrets/shop/models"]);
  });

  it("that could not be read is read again at once", async () => {
    const one = world();
    const outage = new OperatorError("KUBE_UNAVAILABLE", "no response");
    one.objects.set("secrets/shop/models", outage);
    await expect(one.resolver.model(app({ credentials }), signal)).rejects.toBe(outage);
    one.objects.set("secrets/shop/models", secret({ sasToken: "sig" }));
    expect(await storageIdentity(one, app({ credentials }))).toMatchObject({ sasToken: "sig" });
  });
});

describe("an error of the API server", () => {
  it.each([
    "KUBE_UNAVAILABLE",
    "KUBE_TIMEOUT",
    "KUBE_THROTTLED",
    "KUBE_UNEXPECTED_RESPONSE",
  ] as const)("%s is no finding about the source", async (code) => {
    const one = world();
    one.objects.set("serviceaccounts/shop/cats", new OperatorError(code, "no response"));
    await expect(one.resolver.image(app(), signal)).rejects.toMatchObject({ code });
  });

  it("that forbids the read names the chart's value that permits it", async () => {
    const one = world();
    one.objects.set("serviceaccounts/shop/cats", new OperatorError("KUBE_FORBIDDEN", "403"));
    expect(await one.resolver.image(app(), signal)).toMatchObject({
      error: {
        code: "CREDENTIALS_MISSING",
        message: expect.stringContaining("list the namespace in the chart's tenantNamespaces"),
      },
    });
  });
});

describe("anonymous reads", () => {
  it("read neither a Secret nor a ServiceAccount", async () => {
    const one = world();
    const credentials = { anonymous: ["Registry", "Storage"] };
    expect(await storageIdentity(one, app({ credentials }))).toEqual({ kind: "anonymous" });
    expect(await one.resolver.image(app({ credentials }), signal)).toHaveProperty("source");
    expect(one.reads).toEqual([]);
  });

  it("are of the source only that allows them", async () => {
    const one = world();
    expect(
      await one.resolver.image(app({ credentials: { anonymous: ["Storage"] } }), signal),
    ).toMatchObject({ error: { code: "CREDENTIALS_MISSING" } });
    expect(
      await one.resolver.model(app({ credentials: { anonymous: ["Registry"] } }), signal),
    ).toMatchObject({ error: { code: "CREDENTIALS_MISSING" } });
  });
});

describe("a source", () => {
  const anonymous = { anonymous: ["Registry", "Storage"] };

  it("is one object for the same query and identity: it remembers the listing that it found", async () => {
    const { resolver } = world();
    const first = await resolver.model(app({ credentials: anonymous }), signal);
    const again = await resolver.model(app({ credentials: anonymous }), signal);
    const other = await resolver.model(app({ credentials: anonymous, modelVersion: 8 }), signal);
    if ("error" in first || "error" in again || "error" in other) throw new Error("no source");
    expect(again.source).toBe(first.source);
    expect(other.source).not.toBe(first.source);
  });

  it.each([
    ["7", undefined, false],
    ["latest", undefined, true],
    [">=7", undefined, true],
    ["latest", false, false],
    ["7", true, true],
  ] as const)(
    "for %s with requireManifest %s requires a manifest: %s",
    async (modelVersion, requireManifest, required) => {
      const { resolver } = world();
      const model = { store: "https://contoso.blob.core.windows.net/models", name: "cats" };
      const resolved = await resolver.model(
        app({ credentials: anonymous, modelVersion, model: { ...model, requireManifest } }),
        signal,
      );
      if ("error" in resolved) throw new Error(resolved.error.message);
      expect(resolved.source.key).toContain(`"requireManifest":${required}`);
    },
  );

  it("of a text that cannot be read is an error of the spec, before any credentials are read", async () => {
    const one = world();
    expect(await one.resolver.image(app({ image: "cats:1" }), signal)).toMatchObject({
      error: { code: "IMAGE_REFERENCE_INVALID" },
    });
    expect(await one.resolver.model(app({ modelVersion: ">" }), signal)).toMatchObject({
      error: { code: "VERSIONS_AMBIGUOUS" },
    });
    expect(one.reads).toEqual([]);
  });
});

describe("an app that a policy refuses", () => {
  const refusal = "AIAppSourcePolicy shop does not allow the image";
  const error = { code: "NOT_ALLOWED_BY_POLICY", message: refusal };
  const spec = { credentials: { storage: "models", registry: "login" } };
  const release = {
    image: "old.azurecr.io/cats:1",
    imageDigest: `sha256:${"b".repeat(64)}`,
    modelVersion: "6",
    modelDigest: `sha256:${"c".repeat(64)}`,
    pullImage: "old.azurecr.io/operator:1",
    rolledOutAt: 0,
    model: { store: "https://old.blob.core.windows.net/models", name: "cats" },
  };

  it("has no source, and none of its Secrets is read", async () => {
    const one = world("", { refusal: () => refusal, refusalOfRelease: () => undefined });
    expect(await one.resolver.image(app(spec), signal)).toMatchObject({ error });
    expect(await one.resolver.model(app(spec), signal)).toMatchObject({ error });
    expect(await one.resolver.recorded(app(spec), release, signal)).toMatchObject({
      image: { error },
      model: { error },
      puller: { error },
      kept: { image: { error }, model: { error } },
    });
    expect(one.reads).toEqual([]);
  });

  it("of a recorded release alone, is not looked for there", async () => {
    const one = world("", { refusal: () => undefined, refusalOfRelease: () => refusal });
    one.objects.set("secrets/shop/models", secret({ sasToken: "sv=1&sig=2" }));
    expect(await one.resolver.model(app(spec), signal)).toHaveProperty("source");
    expect(await one.resolver.recorded(app(spec), release, signal)).toMatchObject({
      image: { error },
      model: { error },
      puller: { error },
      kept: { image: { error }, model: { error } },
    });
    expect(one.reads).toEqual(["secrets/shop/models"]);
  });
});
