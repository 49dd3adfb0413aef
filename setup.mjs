#!/usr/bin/env node
// `node setup.mjs SCRIPT [ARGUMENT…]`: installs the packages of package-lock.json unless they are installed, and runs the
// script with the Node.js of the project's dependencies. Runs on Node.js 20 and later, without node_modules.
import { spawn, spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { constants } from "node:os";
import { delimiter, join } from "node:path";

const root = import.meta.dirname ?? new URL(".", import.meta.url).pathname;
const modules = join(root, "node_modules");
const node = join(modules, ".bin", "node");

function packages(lockfile) {
  return existsSync(lockfile) ? JSON.parse(readFileSync(lockfile, "utf8")).packages : {};
}

/** Compares the lockfile with the one that npm writes into node_modules, by content and not by time. */
function installed() {
  const there = packages(join(modules, ".package-lock.json"));
  return (
    existsSync(node) &&
    Object.entries(packages(join(root, "package-lock.json"))).every(
      ([path, { version, link, optional }]) =>
        !path.includes("node_modules/") || link || optional || there[path]?.version === version,
    )
  );
}

if (!installed()) {
  const began = Date.now();
  process.stderr.write("installing dependencies …\n");
  const { status } = spawnSync("npm", ["ci", "--loglevel=error"], {
    cwd: root,
    stdio: ["ignore", "ignore", "inherit"],
  });
  if (status !== 0) {
    process.stderr.write(
      "npm ci failed (see above). Check that the npm registry is reachable, then try again.\n",
    );
    process.exit(1);
  }
  if (!existsSync(node)) {
    process.stderr.write(
      `No Node.js 24 binary is published for ${process.platform}-${process.arch}: the tests and the demo require linux-x64.\n`,
    );
    process.exit(1);
  }
  process.stderr.write(`installed dependencies in ${((Date.now() - began) / 1000).toFixed(0)} s\n`);
}

const [script, ...rest] = process.argv.slice(2);
if (script !== undefined) {
  const child = spawn(node, [join(root, script), ...rest], {
    stdio: "inherit",
    env: {
      ...process.env,
      PATH: `${join(modules, ".bin")}${delimiter}${process.env.PATH ?? ""}`,
    },
  });
  // A terminal signals the whole process group; forward a signal that only this process received.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
    process.on(signal, () => {
      if (!process.stdin.isTTY || signal !== "SIGINT") child.kill(signal);
    });
  }
  child.on("exit", (code, signal) => {
    process.exitCode = code ?? 128 + (constants.signals[signal] ?? 0);
  });
}
