import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";

import { createAgents } from "../../operator/sources/hosts.ts";
import type { Identity } from "../../operator/sources/identity.ts";
import type { ImageRegistry } from "../../operator/sources/registry/image-registry.ts";
import { parseReference } from "../../crds/grammar/image-reference.ts";
import { createRegistry } from "../../operator/sources/registry/registry.ts";
import type { FaultInput } from "../support/faults.ts";
import { login } from "../support/world.ts";
import { pushImage, pushIndex } from "./push.ts";
import {
  anonymous,
  basic,
  bounded,
  startRegistries,
  type Registries,
  type RegistryName,
} from "./registries.ts";
import { errorOf, reader, stranger, timedOut, type Services } from "./services.ts";

/** How the operator reads tags from registries: real ones. */

const wrong = { kind: "basic", username: login.username, password: "hunter2-hunter2" } as const;

let registries: Registries;
let services: Services;
let newPlace: Registries["newPlace"];
let fresh: Registries["fresh"];

beforeAll(async () => {
  registries = await startRegistries();
  ({ services, newPlace, fresh } = registries);
});
afterEach(() => services.world.faults.clear());
afterAll(() => registries?.close());

function resolve(
  registry: ImageRegistry,
  image: string,
  identity: Identity,
  signal = bounded(),
): Promise<string> {
  return registry.resolve(parseReference(image), identity, signal);
}

describe.each<{ registry: RegistryName; identity: Identity; as: string }>([
  { registry: "a plain registry", identity: anonymous, as: "anonymous" },
  { registry: "a plain registry", identity: basic, as: "a login that it does not require" },
  { registry: "a registry with logins", identity: basic, as: "a login" },
  { registry: "ACR", identity: anonymous, as: "anonymous" },
  { registry: "ACR", identity: basic, as: "a login" },
  { registry: "ACR", identity: reader, as: "a workload identity" },
])("$registry, read as $as", ({ registry: name, identity }) => {
  it("resolves a tag to its digest", async () => {
    const { to, image } = newPlace(name);
    const digest = await pushImage(to, "1.4", "first");
    await pushImage(to, "1.5", "second");
    expect(await resolve(fresh(), `${image}:1.4`, identity)).toBe(digest);
  });

  it("follows a tag that moved", async () => {
    const { to, image } = newPlace(name);
    const registry = fresh();
    const before = await pushImage(to, "stable", "first");
    expect(await resolve(registry, `${image}:stable`, identity)).toBe(before);
    const after = await pushImage(to, "stable", "second");
    expect(after).not.toBe(before);
    expect(await resolve(registry, `${image}:stable`, identity)).toBe(after);
  });

  it("resolves a tag of several platforms to the index, not to one platform's image", async () => {
    const { to, image } = newPlace(name);
    const digest = await pushIndex(to, "1.4", "first");
    expect(await resolve(fresh(), `${image}:1.4`, identity)).toBe(digest);
  });

  it("finds a pinned digest though its tag moved on", async () => {
    const { to, image } = newPlace(name);
    const digest = await pushImage(to, "1.4", "first");
    await pushImage(to, "1.4", "second");
    const registry = fresh();
    expect(await resolve(registry, `${image}@${digest}`, identity)).toBe(digest);
    expect(await resolve(registry, `${image}:1.4@${digest}`, identity)).toBe(digest);
  });

  it.each(["missing", `v1@sha256:${"0".repeat(64)}`])(
    "says that there is no %s in a repository that is there",
    async (tag) => {
      const { to, image } = newPlace(name);
      await pushImage(to, "1.4", "first");
      const error = await errorOf(resolve(fresh(), `${image}:${tag}`, identity));
      expect(error.code).toBe("IMAGE_NOT_FOUND");
      expect(error.message).toContain(image);
    },
  );

  it("says that there is no such repository", async () => {
    const { image } = newPlace(name);
    const error = await errorOf(resolve(fresh(), `${image}:1.4`, identity));
    expect(error.code).toBe("IMAGE_NOT_FOUND");
  });

  it("sees a tag that appears after it was missing", async () => {
    const { to, image } = newPlace(name);
    const registry = fresh();
    expect((await errorOf(resolve(registry, `${image}:1.4`, identity))).code).toBe(
      "IMAGE_NOT_FOUND",
    );
    const digest = await pushImage(to, "1.4", "first");
    expect(await resolve(registry, `${image}:1.4`, identity)).toBe(digest);
  });
});

describe.each(["a registry with logins", "ACR"] as const)("%s", (name) => {
  it("refuses a password with an error that differs from that of a missing repository and does not hold the password", async () => {
    const { to, image } = newPlace(name);
    await pushImage(to, "1.4", "first");
    const error = await errorOf(resolve(fresh(), `${image}:1.4`, wrong));
    expect(error.code).toBe("REGISTRY_AUTH_FAILED");
    expect(error.message).toContain("the login in the registry Secret");
    const shown = `${error.message} ${error.stack} ${JSON.stringify(error)} ${String(error.cause)}`;
    for (const secret of [wrong.password, btoa(`${wrong.username}:${wrong.password}`)])
      expect(shown).not.toContain(secret);
  });

  it("is read with the new password once the Secret has it", async () => {
    const { to, image } = newPlace(name);
    const digest = await pushImage(to, "1.4", "first");
    const registry = fresh();
    expect((await errorOf(resolve(registry, `${image}:1.4`, wrong))).code).toBe(
      "REGISTRY_AUTH_FAILED",
    );
    expect(await resolve(registry, `${image}:1.4`, basic)).toBe(digest);
  });
});

describe("a registry with logins", () => {
  it("refuses anonymous reads, and the message names credentials.registry", async () => {
    const { to, image } = newPlace("a registry with logins");
    await pushImage(to, "1.4", "first");
    const error = await errorOf(resolve(fresh(), `${image}:1.4`, anonymous));
    expect(error.code).toBe("REGISTRY_AUTH_FAILED");
    expect(error.message).toContain("credentials.registry");
  });
});

describe("ACR, read with a workload identity", () => {
  it("gets a token that Entra ID issued for the ServiceAccount", async () => {
    const { to, image } = newPlace("ACR");
    await pushImage(to, "1.4", "first");
    await resolve(fresh(), `${image}:1.4`, reader);
    expect(services.entra.grants()).toContainEqual({
      subject: "system:serviceaccount:cats:reader",
      scope: expect.stringContaining("https://management.azure.com/.default"),
    });
  });

  it("gets no request when Entra ID has no federated credential for the ServiceAccount", async () => {
    const { image } = newPlace("ACR");
    const error = await errorOf(resolve(fresh(), `${image}:1.4`, stranger));
    expect(error.code).toBe("REGISTRY_AUTH_FAILED");
    expect(error.message).toContain("AADSTS70021");
    expect(error.message).toContain("federated credential");
  });

  it.each<{ what: string; action: FaultInput["action"] }>([
    { what: "stalls", action: { kind: "stall" } },
    { what: "cuts its connections", action: { kind: "cut" } },
  ])(
    "gets no request while Entra ID $what, and is read once it recovers",
    async ({ action }) => {
      const { to, image } = newPlace("ACR");
      const digest = await pushImage(to, "1.4", "first");
      const registry = fresh();
      services.world.faults.add({ service: "entra", method: "POST", action });
      // No token for this name is cached yet.
      const renamed = { ...reader, clientId: `${reader.clientId}-${image}` };
      const error = await timedOut(services.world, (signal) =>
        resolve(registry, `${image}:1.4`, renamed, signal),
      );
      expect(error.code).toBe("REGISTRY_UNAVAILABLE");
      expect(error.message).toContain("Entra ID");
      services.world.faults.clear();
      expect(await resolve(registry, `${image}:1.4`, renamed)).toBe(digest);
    },
    30_000,
  );

  it("needs a client id and a tenant id", async () => {
    const { image } = newPlace("ACR");
    const error = await errorOf(resolve(fresh(), `${image}:1.4`, { ...reader, clientId: "" }));
    expect(error.code).toBe("CREDENTIALS_MISSING");
    expect(error.message).toContain("azure.workload.identity/client-id");
  });

  it("sends no Azure token to a registry that is not Azure's", async () => {
    const { to, image } = newPlace("a registry with logins");
    await pushImage(to, "1.4", "first");
    const granted = services.entra.grants().length;
    const error = await errorOf(resolve(fresh(), `${image}:1.4`, reader));
    expect(error.code).toBe("REGISTRY_AUTH_FAILED");
    expect(services.entra.grants()).toHaveLength(granted);
  });
});

describe.each<{ identity: Identity; as: string }>([
  { identity: anonymous, as: "anonymous" },
  { identity: basic, as: "a login" },
  { identity: reader, as: "a workload identity" },
])("an ACR that misbehaves, read as $as", ({ identity }) => {
  let image: string;
  let digest: string;

  beforeAll(async () => {
    const place = newPlace("ACR");
    image = `${place.image}:1.4`;
    digest = await pushImage(place.to, "1.4", "first");
  });

  function fault(action: FaultInput["action"], where: Partial<FaultInput> = {}): void {
    services.world.faults.add({ service: "acr", path: "/manifests/", ...where, action });
  }
  function answers(status: number, headers: Record<string, string> = {}): void {
    fault({ kind: "status", status, headers });
  }

  it("gets only HEAD requests while nothing changes, and the token is reused", async () => {
    const registry = fresh();
    await resolve(registry, image, identity);
    services.world.faults.forget();
    for (let poll = 0; poll < 5; poll++)
      expect(await resolve(registry, image, identity)).toBe(digest);
    expect(services.world.faults.requests()).toEqual(
      Array.from({ length: 5 }, () => expect.objectContaining({ method: "HEAD", status: 200 })),
    );
  });

  it("is asked for a new token when it rejects the old one", async () => {
    const registry = fresh();
    await resolve(registry, image, identity);
    const { acrPort } = services.world;
    const host = `127.0.0.1:${acrPort}`;
    const repository = parseReference(image).repository;
    fault(
      {
        kind: "status",
        status: 401,
        headers: {
          "www-authenticate": `Bearer realm="https://${host}/oauth2/token",service="${host}",scope="repository:${repository}:pull"`,
        },
      },
      { times: 1 },
    );
    services.world.faults.forget();
    expect(await resolve(registry, image, identity)).toBe(digest);
    expect(services.world.faults.requests().map(({ path }) => path.split("?")[0])).toContain(
      "/oauth2/token",
    );
  });

  it.each([401, 403])("returns %i: the identity is refused", async (status) => {
    answers(status);
    const error = await errorOf(resolve(fresh(), image, identity));
    expect(error.code).toBe("REGISTRY_AUTH_FAILED");
    expect(error.message).toContain(String(status));
  });

  it("issues no token: the identity is refused", async () => {
    fault({ kind: "status", status: 401 }, { path: "^/oauth2/" });
    const error = await errorOf(resolve(fresh(), image, identity));
    expect(error.code).toBe("REGISTRY_AUTH_FAILED");
  });

  it("sends Retry-After with a 429: the operator waits for that long", async () => {
    answers(429, { "retry-after": "17" });
    const error = await errorOf(resolve(fresh(), image, identity));
    expect(error).toMatchObject({ code: "REGISTRY_THROTTLED", retryAfterMs: 17_000 });
  });

  it("sends a date in Retry-After: the operator waits until then", async () => {
    const now = Date.now();
    answers(429, {
      date: new Date(now).toUTCString(),
      "retry-after": new Date(now + 17_000).toUTCString(),
    });
    const error = await errorOf(resolve(fresh(), image, identity));
    expect(error).toMatchObject({ code: "REGISTRY_THROTTLED", retryAfterMs: 17_000 });
  });

  it("sends Retry-After with a 429 for a token: the operator waits for that long", async () => {
    fault({ kind: "status", status: 429, headers: { "retry-after": "17" } }, { path: "^/oauth2/" });
    const error = await errorOf(resolve(fresh(), image, identity));
    expect(error).toMatchObject({ code: "REGISTRY_THROTTLED", retryAfterMs: 17_000 });
  });

  it("sends a 429 without Retry-After: the operator waits for half a minute", async () => {
    answers(429);
    const error = await errorOf(resolve(fresh(), image, identity));
    expect(error).toMatchObject({ code: "REGISTRY_THROTTLED", retryAfterMs: 30_000 });
  });

  it("sends a Retry-After of a day: the operator waits for an hour", async () => {
    answers(429, { "retry-after": "86400" });
    const error = await errorOf(resolve(fresh(), image, identity));
    expect(error.retryAfterMs).toBe(3_600_000);
  });

  it.each([500, 503])("returns %i: it is unavailable", async (status) => {
    answers(status, { "retry-after": "3" });
    const error = await errorOf(resolve(fresh(), image, identity));
    expect(error).toMatchObject({ code: "REGISTRY_UNAVAILABLE", retryAfterMs: 3_000 });
  });

  it("cuts a connection once: the poll succeeds", async () => {
    fault({ kind: "cut" }, { times: 1 });
    expect(await resolve(fresh(), image, identity)).toBe(digest);
  });

  it.each(["/manifests/", "^/oauth2/"])("cuts every connection of %s", async (path) => {
    fault({ kind: "cut" }, { path });
    const error = await errorOf(resolve(fresh(), image, identity));
    expect(error.code).toBe("REGISTRY_UNAVAILABLE");
  });

  it.each(["/manifests/", "^/oauth2/"])(
    "stalls at %s: the signal ends it, and the next poll succeeds",
    async (path) => {
      fault({ kind: "stall" }, { path, times: 1 });
      const registry = fresh();
      const error = await timedOut(services.world, (signal) =>
        resolve(registry, image, identity, signal),
      );
      expect(error.code).toBe("REGISTRY_UNAVAILABLE");
      expect(error.message).toContain("did not respond in time");
      expect(await resolve(registry, image, identity)).toBe(digest);
    },
    30_000,
  );

  it("returns no digest", async () => {
    answers(200);
    const error = await errorOf(resolve(fresh(), image, identity));
    expect(error.code).toBe("REGISTRY_UNEXPECTED_RESPONSE");
  });

  it("returns a malformed digest", async () => {
    answers(200, { "docker-content-digest": "latest" });
    const error = await errorOf(resolve(fresh(), image, identity));
    expect(error.code).toBe("REGISTRY_UNEXPECTED_RESPONSE");
  });

  it("returns another digest than the requested one", async () => {
    answers(200, { "docker-content-digest": `sha256:${"0".repeat(64)}` });
    const error = await errorOf(resolve(fresh(), image.replace(/:1.4$/, `@${digest}`), identity));
    expect(error.code).toBe("REGISTRY_UNEXPECTED_RESPONSE");
  });

  it("redirects: the redirect is not followed", async () => {
    const elsewhere = `https://127.0.0.1:${services.entra.port}/elsewhere`;
    answers(307, { location: elsewhere });
    const error = await errorOf(resolve(fresh(), image, identity));
    expect(error.code).toBe("REGISTRY_UNEXPECTED_RESPONSE");
  });
});

describe.each(["a plain registry", "ACR"] as const)("%s on the node itself", (name) => {
  it.each(["127.0.0.1", "localhost"])("is not asked as %s", async (host) => {
    const { to, image } = newPlace(name);
    await pushImage(to, "1.4", "first");
    const port = new URL(`http://${image}`).port;
    const policy = {
      ...services.policy,
      insecureHosts: new Set(name === "ACR" ? [] : [`${host}:${port}`]),
      allowLoopback: false,
    };
    const registry = createRegistry({
      azureSuffixes: [`${host}:${services.world.acrPort}`],
      policy,
      agents: createAgents(policy),
      credentials: services.credentials,
    });
    const reference = `${host}:${port}/${to.repository}:1.4`;
    for (const identity of [anonymous, basic])
      expect((await errorOf(resolve(registry, reference, identity))).code).toBe("HOST_NOT_ALLOWED");
  });
});

describe("a registry's challenge", () => {
  it("cannot have a password sent to another host", async () => {
    const { to, image } = newPlace("ACR");
    await pushImage(to, "1.4", "first");
    const registry = fresh();
    await resolve(registry, `${image}:1.4`, basic);
    services.world.faults.add({
      service: "acr",
      path: "/manifests/",
      action: {
        kind: "status",
        status: 401,
        headers: { "www-authenticate": `Bearer realm="https://attacker.example/token"` },
      },
    });
    const error = await errorOf(resolve(registry, `${image}:1.4`, basic));
    expect(error.code).toBe("REGISTRY_UNEXPECTED_RESPONSE");
    expect(error.message).toContain("no credentials were sent");
  });

  it("cannot have a password sent to another registry of the same domain", async () => {
    const { to, image } = newPlace("ACR");
    await pushImage(to, "1.4", "first");
    const registry = fresh();
    await resolve(registry, `${image}:1.4`, basic);
    // Another port of the same address, where another tenant could listen.
    const elsewhere = `127.0.0.1:${services.entra.port}`;
    services.world.faults.add({
      service: "acr",
      path: "/manifests/",
      action: {
        kind: "status",
        status: 401,
        headers: { "www-authenticate": `Bearer realm="https://${elsewhere}/token"` },
      },
    });
    const error = await errorOf(resolve(registry, `${image}:1.4`, basic));
    expect(error.code).toBe("REGISTRY_UNEXPECTED_RESPONSE");
    expect(error.message).toContain(`https://${elsewhere}`);
    expect(error.message).toContain("no credentials were sent");
  });
});
