import { readFileSync } from "node:fs";

import { Command, InvalidArgumentError, Option } from "commander";

import type { BundleFlags } from "./bundle/command.ts";
import type { ControlFlags } from "./control/command.ts";
import { verbs, type Verb } from "./control/verbs.ts";
import { formatDuration, parseDuration } from "./format.ts";
import type { Terminal } from "./terminal.ts";

/** The commands with their options. Each imports its code when it runs: the Kubernetes client takes half a second. */
export function program(name: string, terminal: Terminal, signal: AbortSignal): Command {
  const root = new Command(name)
    .description(
      "Makes, checks and publishes model versions, shows the status of AIApps, and controls their releases.",
    )
    .version(version())
    .option("--verbose", "show the stack trace of an error")
    .showHelpAfterError("(--help shows the usage)")
    .exitOverride()
    .addHelpText(
      "after",
      `
Examples:
  ${name} publish ./digits-v2 --to https://contoso.blob.core.windows.net/models/digits/2
  ${name} status digits --namespace shop --watch
  ${name} history digits --namespace shop
  ${name} rollback digits --namespace shop

Exit status: 0 done, 1 failed, 2 wrong usage, 3 the app is not ready (status), 4 the operator did not
answer in time (--wait), 130 interrupted.`,
    );

  addBundle(root, name, terminal, signal);
  addVerify(root, terminal, signal);
  addPublish(root, name, terminal, signal);
  addStatus(root, terminal, signal);
  addHistory(root, terminal, signal);
  for (const verb of Object.keys(verbs) as Verb[]) addControl(root, verb, terminal, signal);
  return root;
}

function addBundle(root: Command, name: string, terminal: Terminal, signal: AbortSignal): void {
  root
    .command("bundle")
    .summary("make a bundle of a model.onnx")
    .description(
      "Makes the folder of a bundle: the model with its weights, what is given, and samples whose answers it records by\nrunning the model. Sizes, channels and classes that the model declares need not be given.",
    )
    .argument("<model.onnx>", "the model, with its external data beside it")
    .option("--out <folder>", "the bundle (default: the model's name)")
    .option("--labels <file>", "the classes, one a line")
    .option("--preprocessing <how>", "of images: imagenet, unit (values from 0 to 1), or a file")
    .option("--postprocessing <file>", "which output is scored, and how")
    .option(
      "--sample <file>",
      "a picture, or the JSON of a request; may be repeated",
      (file: string, before: readonly string[]) => [...before, file],
      [] as readonly string[],
    )
    .addOption(outputOption())
    .option("--verbose", "show the stack trace of an error")
    .addHelpText(
      "after",
      `
Without --sample it records one that it makes from the model's inputs, where they say enough.
Example:
  ${name} bundle resnet50.onnx --labels synset.txt --preprocessing imagenet --sample cat.jpg`,
    )
    .action(async (model: string, flags: BundleFlags) => {
      const { bundleCommand } = await import("./bundle/command.ts");
      await bundleCommand(model, flags, terminal, signal);
    });
}

function addVerify(root: Command, terminal: Terminal, signal: AbortSignal): void {
  root
    .command("verify")
    .summary("check a bundle as a pod would")
    .description(
      "Checks a folder before it is published: names and checksums, and with the model server the model, its files and its\nsamples, as a pod does before it is ready. The variables of the model server, such as BATCHING, apply.",
    )
    .argument("<folder>", "the folder that holds model.onnx, labels.txt, …")
    .addOption(outputOption())
    .option("--verbose", "show the stack trace of an error")
    .action(async (folder: string, flags: { readonly output: "text" | "json" }) => {
      const { verifyCommand } = await import("./verify/verify.ts");
      await verifyCommand(folder, flags, terminal, signal);
    });
}

function addPublish(root: Command, name: string, terminal: Terminal, signal: AbortSignal): void {
  root
    .command("publish")
    .summary("publish a folder as a model version")
    .description(
      "Publishes a folder as one version of a model: the files first, manifest.json last.\nIt overwrites nothing; run it again to finish an interrupted publish.",
    )
    .argument("<folder>", "the folder that holds model.onnx, labels.txt, …")
    .requiredOption(
      "--to <url>",
      "https://<account>.blob.core.windows.net/<container>/<name>/<version>",
    )
    .option("--parallel <n>", "concurrent requests", parallelism, 4)
    .option("--allow-http", "allow plain http to another machine", false)
    .option("--any-version", "allow a version that latest and ranges cannot sort", false)
    .option("--no-verify", "publish without loading the model and scoring its samples first")
    .addOption(outputOption())
    .option("--verbose", "show the stack trace of an error")
    .addHelpText(
      "after",
      `
Credentials, the first that is set: AZURE_STORAGE_CONNECTION_STRING, AZURE_STORAGE_KEY
(with AZURE_STORAGE_ACCOUNT), AZURE_STORAGE_SAS_TOKEN, else an Azure identity:
az login, workload identity, managed identity, or a service principal (AZURE_CLIENT_ID, …).

Examples:
  az login && ${name} publish ./digits-v2 --to https://contoso.blob.core.windows.net/models/digits/2
  ${name} publish ./digits-v2 --to http://127.0.0.1:10000/devstoreaccount1/models/digits/2`,
    )
    .action(async (folder: string, flags) => {
      const { publishCommand } = await import("./publish/command.ts");
      await publishCommand(folder, flags, terminal, process.env, Date.now, signal);
    });
}

function addStatus(root: Command, terminal: Terminal, signal: AbortSignal): void {
  withCluster(root.command("status"))
    .summary("show what an AIApp serves and what is rolling out")
    .description(
      "Shows what an AIApp serves, what is rolling out, its problems, and what to do about them.",
    )
    .argument("<name>", "the AIApp")
    .option("-w, --watch", "refresh until Ctrl-C", false)
    .addOption(outputOption())
    .option("--verbose", "show the stack trace of an error")
    .addHelpText("after", "\nExit status: 0 when the app is ready, 3 when it is not.")
    .action(async (app: string, flags) => {
      const { statusCommand } = await import("./status/command.ts");
      process.exitCode = await statusCommand(app, flags, terminal, Date.now, signal);
    });
}

function addHistory(root: Command, terminal: Terminal, signal: AbortSignal): void {
  withCluster(root.command("history"))
    .summary("show the releases of an AIApp, and the phases that each went through")
    .description(
      "Shows the releases of an AIApp, newest first: what each consists of, who asked for it, how it ended,\nand the phases that it went through with their durations (requires list on controllerrevisions.apps).",
    )
    .argument("<name>", "the AIApp")
    .argument("[release]", "show this release alone")
    .addOption(outputOption())
    .option("--verbose", "show the stack trace of an error")
    .action(async (app: string, release: string | undefined, flags) => {
      const { historyCommand } = await import("./history/command.ts");
      process.exitCode = await historyCommand(app, release, flags, terminal, Date.now, signal);
    });
}

function addControl(root: Command, verb: Verb, terminal: Terminal, signal: AbortSignal): void {
  const { summary, description, argument } = verbs[verb];
  const command = withCluster(root.command(verb))
    .summary(summary)
    .description(description)
    .argument("<name>", "the AIApp");
  if (argument !== undefined) command.argument("[release]", argument);
  if (verb === "release") command.option("--now", "wait for nothing", false);
  if (verb === "rollback")
    command.option("--to <release>", "the release (default: the one before the current one)");
  command
    .option("--wait", "wait until the operator has answered", false)
    .addOption(
      new Option("--timeout <duration>", "how long to wait: 30s, 5m")
        .argParser(timeout)
        .default(DEFAULT_TIMEOUT_MS, formatDuration(DEFAULT_TIMEOUT_MS)),
    )
    .addOption(outputOption())
    .option("--verbose", "show the stack trace of an error")
    .addHelpText(
      "after",
      "\nSets an annotation of the AIApp, and prints the kubectl command that does the same.\nExit status: 0 when it is set (with --wait: when the operator has acted on it), 1 when there is\nnothing to do, 4 when the operator did not answer within --timeout.",
    )
    .action(async (app: string, ...rest: readonly unknown[]) => {
      const { controlCommand } = await import("./control/command.ts");
      const { to, ...flags } = command.opts<ControlFlags & { readonly to?: string }>();
      const named = verb === "rollback" ? to : rest[0];
      const release = typeof named === "string" ? named : undefined;
      process.exitCode = await controlCommand(
        verb,
        app,
        release,
        flags,
        terminal,
        Date.now,
        signal,
      );
    });
}

function withCluster(command: Command): Command {
  return command
    .option(
      "-n, --namespace <namespace>",
      "its namespace (default: that of the kubeconfig's context)",
    )
    .option("--context <context>", "the kubeconfig's context to use")
    .option("--kubeconfig <file>", "the kubeconfig to use");
}

const DEFAULT_TIMEOUT_MS = 2 * 60_000;
const MAX_TIMEOUT_MS = 24 * 3_600_000;

function timeout(text: string): number {
  const ms = parseDuration(text);
  if (ms === undefined || ms > MAX_TIMEOUT_MS) {
    throw new InvalidArgumentError(
      `It must be a duration such as 30s or 5m, at most ${formatDuration(MAX_TIMEOUT_MS)}.`,
    );
  }
  return ms;
}

function version(): string {
  const text = readFileSync(new URL("../package.json", import.meta.url), "utf8");
  const { version }: { version?: unknown } = JSON.parse(text);
  return String(version);
}

function parallelism(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > 64) {
    throw new InvalidArgumentError("It must be a whole number from 1 to 64.");
  }
  return value;
}

function outputOption(): Option {
  return new Option("-o, --output <form>", "what to print")
    .choices(["text", "json"])
    .default("text");
}
