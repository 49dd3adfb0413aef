#!/usr/bin/env node
// Plain JavaScript that any Node since 14 reads: finds a Node that runs TypeScript, and runs main.ts with it.
import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";

const WANTED = 24;
const main = new URL("./main.ts", import.meta.url);

// kubectl runs plugins by their file's name; --help should name what was typed.
process.env["AIAPP_COMMAND"] = basename(process.argv[1] || "aiapp");

function ownNode() {
  try {
    const name = `node-${process.platform}-${process.arch}`;
    return createRequire(import.meta.url).resolve(`${name}/bin/node`);
  } catch {
    return undefined;
  }
}

if (Number(process.versions.node.split(".")[0]) >= WANTED) {
  try {
    await import(main.href);
  } catch (error) {
    // A clone that was linked (npm install --global .) before its packages were there. Our own files are never missing.
    if (error.code !== "ERR_MODULE_NOT_FOUND" || !error.message.startsWith("Cannot find package "))
      throw error;
    console.error(
      `error: the packages of aiapp are not installed: run npm ci in ${fileURLToPath(new URL("..", import.meta.url))}`,
    );
    process.exit(1);
  }
} else {
  const node = ownNode();
  if (node === undefined) {
    console.error(
      `error: aiapp needs Node.js ${WANTED} or later; this is ${process.version} (${process.execPath})`,
    );
    console.error(
      "  → Install it from https://nodejs.org, or run npm ci in the folder of aiapp, which brings its own on Linux.",
    );
    process.exit(1);
  }
  const child = spawn(node, [fileURLToPath(main)].concat(process.argv.slice(2)), {
    stdio: "inherit",
  });
  // A terminal sends Ctrl-C to both of us: the child decides how to end. What is sent to us alone is passed on.
  process.on("SIGINT", () => {});
  process.on("SIGTERM", () => child.kill("SIGTERM"));
  child.on("error", (error) => {
    console.error(`error: ${node} cannot be run: ${error.message}`);
    process.exit(1);
  });
  child.on("exit", (code, signal) =>
    process.exit(code === null ? 128 + (signal === "SIGINT" ? 2 : 15) : code),
  );
}
