import { execFile } from "node:child_process";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

import axe from "axe-core";
import { chromium, type Browser, type BrowserContextOptions, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";

import { identity } from "../../model-server/infer.testing.ts";
import { copyOf, serve, type BundleFiles } from "../../model-server/serve.testing.ts";
import type { Server } from "../../model-server/server.ts";

/** The model server's page in a real Chromium, which Debian's package brings. */
const CHROMIUM = "/usr/bin/chromium-headless-shell";

const examples = join(import.meta.dirname, "..", "..", "examples");
const three = join(examples, "digits", "pictures", "3.png");

function bundleOf(folder: string, ...files: string[]): BundleFiles {
  return Object.fromEntries(files.map((file) => [file, copyOf(join(examples, folder, file))]));
}
const digits = bundleOf(
  "digits/models/2",
  "model.onnx",
  "labels.txt",
  "preprocessing.json",
  "samples/1.json",
);
const iris = bundleOf("iris/models/1.0.0", "model.onnx", "labels.txt", "samples/1.json");

let browser: Browser;
beforeAll(async () => {
  // Root has no sandbox; the pages are our own.
  browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox"] });
});
afterAll(async () => browser?.close());

interface Opened {
  readonly page: Page;
  readonly server: Server;
  /** What the browser complained of: errors of scripts, and what its policy blocked. */
  readonly complaints: readonly string[];
}

async function open(
  files: BundleFiles,
  environment: NodeJS.ProcessEnv = {},
  options: BrowserContextOptions = {},
): Promise<Opened> {
  const server = await serve(files, environment);
  await server.loaded;
  const context = await browser.newContext(options);
  onTestFinished(() => context.close());
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on("console", (message) => {
    if (message.type() === "error") complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(error.message));
  await page.goto(`http://127.0.0.1:${server.port}/`);
  await page.getByText("Ready", { exact: true }).waitFor();
  return { page, server, complaints };
}

/** The classes that the answer shows, in order. */
async function classes(page: Page): Promise<readonly string[]> {
  await page.locator(".bars li").first().waitFor();
  return page.locator(".bars .name").allTextContents();
}

async function violations(page: Page): Promise<readonly unknown[]> {
  await page.evaluate(axe.source);
  const found = (await page.evaluate("axe.run()")) as { readonly violations: readonly unknown[] };
  return found.violations;
}

describe("a model of pictures", () => {
  test("scores a picture that is chosen, and shows its classes and who answered", async () => {
    const { page, complaints } = await open(digits, {
      MODEL_NAME: "digits",
      MODEL_VERSION: "2",
      AIAPP_RELEASE: "r-17",
    });
    expect(await page.getByRole("heading", { level: 1 }).textContent()).toBe("digits");
    await page.getByLabel("Choose a picture").setInputFiles(three);
    expect((await classes(page))[0]).toBe("three");
    expect(await page.locator(".bars .percent").first().textContent()).toBe("98.00 %");
    expect(await page.locator("#timing").textContent()).toMatch(
      /^[\d.]+ ms in the server, [\d.]+ ms in allAnswered by model version 2, release r-17$/,
    );
    expect(complaints).toEqual([]);
  });

  test("scores a picture that is dropped", async () => {
    const { page } = await open(digits);
    // In the browser, whose types are not those of the tests.
    const data = await page.evaluateHandle(`(() => {
      const bytes = Uint8Array.from([${[...(await readFile(three))].join()}]);
      const transfer = new DataTransfer();
      transfer.items.add(new File([bytes], "3.png", { type: "image/png" }));
      return transfer;
    })()`);
    await page.dispatchEvent("#drop", "drop", { dataTransfer: data });
    expect((await classes(page))[0]).toBe("three");
  });

  test("scores a digit that is drawn, in the sample's colours", async () => {
    const { page } = await open(digits);
    await page.getByRole("button", { name: "Draw" }).click();
    const paper = await page.locator("#paper").boundingBox();
    if (paper === null) throw new Error("there is no paper");
    const points = [
      [0.25, 0.2],
      [0.5, 0.1],
      [0.75, 0.25],
      [0.5, 0.48],
      [0.78, 0.7],
      [0.5, 0.9],
      [0.22, 0.8],
    ].map(([x = 0, y = 0]) => [paper.x + x * paper.width, paper.y + y * paper.height] as const);
    const [first = [0, 0], ...rest] = points;
    await page.mouse.move(...first);
    await page.mouse.down();
    for (const point of rest) await page.mouse.move(...point, { steps: 8 });
    await page.mouse.up();
    expect((await classes(page))[0]).toBe("three");
  });

  test("scores the bundle's first sample, by keyboard alone", async () => {
    const { page } = await open(digits);
    await page.getByRole("button", { name: "Use the sample" }).focus();
    await page.keyboard.press("Enter");
    expect((await classes(page))[0]).toBe("nine");
  });

  test("shows why a file is no picture", async () => {
    const { page } = await open(digits);
    await page.getByLabel("Choose a picture").setInputFiles(join(examples, "digits", "train.py"));
    await page.getByRole("alert").waitFor();
    expect(await page.getByRole("alert").textContent()).toMatch(/image/);
  });
});

describe("a model of numbers", () => {
  test("has the first sample in its form, and scores what is entered", async () => {
    const { page, complaints } = await open(iris);
    const field = page.getByLabel("input[0]");
    expect(await field.inputValue()).toBe("5.1");
    await field.press("Enter");
    expect(await classes(page)).toEqual(["versicolor", "setosa", "virginica"]);
    await page.getByLabel("input[2]").fill("6");
    await page.getByLabel("input[3]").fill("2.5");
    await page.getByRole("button", { name: "Score" }).click();
    await expect.poll(async () => (await classes(page))[0]).toBe("virginica");
    expect(complaints).toEqual([]);
  });

  test("takes any number of rows as JSON", async () => {
    const { page } = await open(iris);
    await page.getByLabel("JSON").check();
    await page.getByRole("button", { name: "Score" }).click();
    await page.getByRole("heading", { name: "Row 2" }).waitFor();
    await page.getByLabel("Values by input").fill("{");
    await page.getByRole("button", { name: "Score" }).click();
    expect(await page.getByRole("alert").textContent()).toBe(
      'This is not JSON of the form {"input": [[…]]}.',
    );
  });

  test("names the field whose text is no number", async () => {
    const { page } = await open(iris);
    await page.getByLabel("input[1]").fill("wide");
    expect(await page.getByRole("alert").textContent()).toBe(
      "input[1] is no FP32: enter a number.",
    );
    expect(await page.getByLabel("input[1]").getAttribute("aria-invalid")).toBe("true");
  });

  test("shows every output of a model without labels", async () => {
    const { page } = await open(identity("int64", ["N", 2]));
    await page.getByLabel("x[1]").fill("9007199254740993");
    await page.getByRole("button", { name: "Score" }).click();
    await page.getByRole("heading", { name: "y" }).waitFor();
    expect(await page.getByRole("group", { name: "y" }).textContent()).toBe(
      '0, "9007199254740993"',
    );
  });
});

test("a server with API keys asks for one, and shows a request that has none in it", async () => {
  const folder = await mkdtemp(join(tmpdir(), "aiapp-page-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  const keys = join(folder, "keys");
  await writeFile(keys, "key-of-the-test-123\n");
  const server = await serve(iris, { API_KEYS_FILE: keys });
  await server.loaded;
  const page = await browser.newPage();
  onTestFinished(() => page.close());
  await page.goto(`http://127.0.0.1:${server.port}/`);
  await page.getByLabel("API key").fill("key-of-the-test-123");
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: "Score" }).click();
  expect((await classes(page))[0]).toBe("versicolor");
  expect(await page.locator("#snippet").textContent()).toContain("Bearer $API_KEY");
});

describe("the request to copy", () => {
  test.each([
    ["curl", "sh"],
    ["Python", "python3"],
  ])("gives the same answer as the page, in %s", async (language, program) => {
    const { page } = await open(digits);
    await page.getByLabel("Choose a picture").setInputFiles(three);
    await classes(page);
    await page.getByLabel(language).check();
    const snippet = (await page.locator("#snippet").textContent()) ?? "";
    const folder = await mkdtemp(join(tmpdir(), "aiapp-page-"));
    onTestFinished(() => rm(folder, { recursive: true }));
    await cp(three, join(folder, "3.png"));
    const { stdout } = await promisify(execFile)(program, ["-c", snippet], {
      cwd: folder,
      env: { ...process.env, no_proxy: "*", NO_PROXY: "*" },
    });
    expect(stdout).toMatch(/^\{.result.: ?\[\[\[\[.three., ?98\.0014\]/);
  });
});

describe.each([
  ["light, on a desktop", { colorScheme: "light", viewport: { width: 1280, height: 900 } }],
  ["dark, on a phone", { colorScheme: "dark", viewport: { width: 360, height: 740 } }],
] as const)("the page, %s", (_, options) => {
  test("has nothing that axe finds, and does not scroll sideways", async () => {
    for (const files of [digits, iris]) {
      const { page } = await open(files, { MODEL_VERSION: "2" }, options);
      expect(await violations(page)).toEqual([]);
      if (files === iris) await page.getByRole("button", { name: "Score" }).click();
      else {
        await page.getByRole("button", { name: "Draw" }).click();
        await page.getByLabel("Choose a picture").setInputFiles(three);
      }
      await classes(page);
      expect(await violations(page)).toEqual([]);
      expect(
        await page.evaluate("document.documentElement.scrollWidth - innerWidth"),
      ).toBeLessThanOrEqual(0);
    }
  });
});
