import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { execa } from "execa";
import { expect, onTestFinished, test } from "vitest";

import { serving } from "../../model-server/infer.testing.ts";
import { copyOf, type BundleFiles } from "../../model-server/serve.testing.ts";
import { findPython, pythonWith } from "../support/python.ts";
import { SCHEMATHESIS } from "../support/schemathesis.ts";

/** The model server's answers to schemathesis, which makes right and wrong requests of `/openapi.json`. */

const INSTALL_MS = 600_000;
const python = await findPython();
const reason = python === undefined ? " (skipped: python3 with venv is not installed)" : "";

/** Of each operation. */
const EXAMPLES = 15;
/** No schema says what a model takes, and the header of the binary extension makes raw values of any body. */
const LEFT_OUT = "positive_data_acceptance,negative_data_rejection";

const examples = join(import.meta.dirname, "..", "..", "examples");

function bundleOf(folder: string, files: readonly string[]): BundleFiles {
  return Object.fromEntries(
    files.map((file) => [file, copyOf(join(examples, folder, file))] as const),
  );
}

const everything = {
  of: "numbers, of every path",
  files: bundleOf("iris/models/1.0.0", ["model.onnx", "labels.txt"]),
  options: [],
  operations: 19,
};
const images = {
  of: "images, of POST /score",
  files: bundleOf("digits/models/2", ["model.onnx", "labels.txt", "preprocessing.json"]),
  options: ["--include-path", "/score"],
  operations: 1,
};

test.skipIf(python === undefined).each([everything, images])(
  `every answer of a model of $of is as the OpenAPI document says${reason}`,
  async ({ files, options: own, operations }) => {
    const program = await pythonWith(SCHEMATHESIS);
    const server = await serving(files, { MODEL_VERSION: "1" });
    const folder = await mkdtemp(join(tmpdir(), "aiapp-schemathesis-"));
    onTestFinished(async () => rm(folder, { recursive: true, force: true }));
    const options = {
      "--checks": "all",
      "--exclude-checks": LEFT_OUT,
      "--phases": "examples,coverage,fuzzing",
      "--max-examples": String(EXAMPLES),
      "--seed": "1",
      "--generation-database": "none",
    };
    const { exitCode, stdout } = await execa(
      program,
      [
        // Its script names the Python of the folder that it was installed in, before that got its name.
        "-c",
        "from schemathesis.cli import schemathesis; schemathesis()",
        "run",
        `http://127.0.0.1:${server.port}/openapi.json`,
        "--no-color",
        "--continue-on-failure",
        ...Object.entries(options).flat(),
        ...own,
      ],
      { cwd: folder, reject: false, env: { no_proxy: "*", NO_PROXY: "*" } },
    );
    expect(exitCode === 0 ? "passed" : stdout).toBe("passed");
    expect(stdout).toContain(`Tested: ${operations}\n`);
  },
  INSTALL_MS,
);
