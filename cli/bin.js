#!/usr/bin/env node
// Plain JavaScript for Node.js 14 and later: finds a Node.js that runs TypeScript, and runs main.ts with it.
import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";

const REQUIRED = 24;
const main = new URL("./main.ts", import.meta.url);

// kubectl finds plugins by their file name; --help shows the command that was typed.
process.env["AIAPP_COMMAND"] = basename(process.argv[1] || "aiapp");

function ownNode() {
  try {
    const name = `node-${process.platform}-${process.arch}`;
    return createRequire(import.meta.url).resolve(`${name}/bin/node`);
  } catch {
    return undefined;
  }
}

if (Number(process.versions.node.split(".")[0]) >= REQUIRED) {
  try {
    await import(main.href);
  } catch (error) {
    // A clone that was linked (npm install --global .) before npm ci. Only packages can be missing, not our own files.
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
      `error: aiapp needs Node.js ${REQUIRED} or later; this is ${process.version} (${process.execPath})`,
    );
    console.error(
      "  → Install it from https://nodejs.org, or run npm ci in the folder of aiapp, which installs one on Linux.",
    );
    process.exit(1);
  }
  const child = spawn(node, [fileURLToPath(main)].concat(process.argv.slice(2)), {
    stdio: "inherit",
  });
  // A terminal sends Ctrl-C to both processes, and the child decides how to end. SIGTERM reaches only this one: forward it.
  process.on("SIGINT", () => {});
  process.on("SIGTERM", () => child.kill("SIGTERM"));
  child.on("error", (error) => {
    console.error(`error: ${node} does not run: ${error.message}`);
    process.exit(1);
  });
  child.on("exit", (code, signal) =>
    process.exit(code === null ? 128 + (signal === "SIGINT" ? 2 : 15) : code),
  );
}
