import { cp, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { execa } from "execa";
import { describe, expect, test } from "vitest";

import { errorCodes } from "./errors.ts";
import { startApi } from "./kube.testing.ts";

const bin = join(import.meta.dirname, "bin.js");

async function aiapp(...args: readonly string[]) {
  return execa(process.execPath, [bin, ...args], {
    reject: false,
    extendEnv: false,
    env: { PATH: "/usr/bin:/bin", HOME: "/nonexistent", KUBECONFIG: "/nonexistent/config" },
  });
}

describe("the command line", () => {
  test("shows its version and its help, and exits with 0", async () => {
    const shown = await aiapp("--version");
    expect(shown).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+$/) });
    const help = await aiapp("publish", "--help");
    expect(help.exitCode).toBe(0);
    expect(help.stdout).toContain("Examples:");
  });

  test.each([
    ["no command", []],
    ["an unknown command", ["frobnicate"]],
    ["a missing argument", ["status"]],
    ["a missing option", ["publish", "."]],
    ["an invalid destination", ["publish", ".", "--to", "models/digits/1"]],
    ["a release without --now", ["release", "digits", "8b04ce1f22"]],
    ["a timeout that is no duration", ["hold", "digits", "--wait", "--timeout", "soon"]],
    ["a rollback with an argument", ["rollback", "digits", "8b04ce1f22"]],
    ["a bound out of range", ["publish", ".", "--to", "https://x", "--parallel", "0"]],
  ])("exits with 2 for %s", async (_what, args) => {
    expect((await aiapp(...args)).exitCode).toBe(2);
  });

  test("reports what failed and what to do, with a stack trace only with --verbose", async () => {
    const plain = await aiapp("status", "digits");
    expect(plain.exitCode).toBe(1);
    expect(plain.stderr).toMatch(/^error KubeconfigInvalid: .*\n {2}→ Set KUBECONFIG/);
    expect(plain.stderr).not.toContain("    at ");
    expect(plain.stdout).toBe("");
    expect((await aiapp("status", "digits", "--verbose")).stderr).toContain("    at ");
  });

  test.each(["release", "approve", "rollback", "retry", "hold", "resume", "abort", "history"])(
    "has the command %s, with an explanation",
    async (verb) => {
      const { exitCode, stdout } = await aiapp(verb, "--help");
      expect(exitCode).toBe(0);
      expect(stdout).toContain("--namespace");
    },
  );

  test("prints nothing of a hostile API server that could drive the terminal", async () => {
    await using api = await startApi();
    const hostile = "\u001b[2J\u009b2J\u202e\r";
    const shown: string[] = [];
    for (const response of [
      { status: 500, body: { kind: "Status", message: hostile } },
      { status: 403, body: { kind: "Status", message: hostile } },
      { status: 200, body: { kind: hostile, metadata: { [hostile]: hostile } } },
    ]) {
      api.response = response;
      const options = ["--kubeconfig", api.kubeconfig, "--verbose"];
      const { stdout, stderr, exitCode } = await aiapp("status", "digits", ...options);
      expect(exitCode).toBe(1);
      shown.push(stdout, stderr);
    }
    // eslint-disable-next-line no-control-regex
    const unsafe = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]|\p{Bidi_Control}/u;
    expect(shown.filter((text) => unsafe.test(text))).toEqual([]);
    expect(shown.join("")).toContain("error ClusterUnavailable:");
  });

  test("reports in one line where to run npm ci, in a clone without packages", async () => {
    const clone = await mkdtemp(join(tmpdir(), "aiapp-clone-"));
    try {
      await cp(import.meta.dirname, join(clone, "cli"), {
        recursive: true,
        filter: (path) => !path.includes("node_modules", import.meta.dirname.length),
      });
      const run = execa(process.execPath, [join(clone, "cli", "bin.js"), "--help"], {
        reject: false,
      });
      expect(await run).toMatchObject({
        exitCode: 1,
        stdout: "",
        stderr: `error: the packages of aiapp are not installed: run npm ci in ${clone}/`,
      });
    } finally {
      await rm(clone, { recursive: true });
    }
  });

  test("imports neither the Kubernetes client nor the Azure SDK for its help", async () => {
    const trace = await execa(
      process.execPath,
      [
        "--input-type=module",
        "-e",
        `
        import { registerHooks } from "node:module";
        registerHooks({ resolve: (name, context, next) => { const found = next(name, context); if (/@kubernetes|@azure/.test(found.url)) console.log(found.url); return found; } });
        process.argv[2] = "--help";
        await import(${JSON.stringify(join(import.meta.dirname, "main.ts"))});`,
        "aiapp",
      ],
      { reject: false },
    );
    expect(trace.stdout).not.toContain("node_modules");
    expect(trace.stdout).toContain("Usage:");
  });
});

test("docs/cli.md lists every error, and no other", async () => {
  const text = await readFile(join(import.meta.dirname, "../docs/cli.md"), "utf8");
  const documented = [...text.matchAll(/^\| `([A-Z][A-Za-z]+)` /gm)].map(([, code]) => code);
  expect(new Set(documented)).toEqual(new Set(errorCodes));
});
