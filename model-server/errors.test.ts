import { readFile } from "node:fs/promises";
import { join } from "node:path";

import { expect, test } from "vitest";

import { errors } from "./errors.ts";

test("each code is documented with its status", async () => {
  const docs = await readFile(join(import.meta.dirname, "..", "docs", "model-server.md"), "utf8");
  const endsTheStart = /^(CONFIG|LISTEN|BUNDLE|MODEL|SAMPLE)_/;
  const rows = Object.entries(errors).map(([code, { http }]) =>
    endsTheStart.test(code) ? `| \`${code}\`` : `| ${http}    | \`${code}\``,
  );
  const missing = rows.filter((row) => !docs.includes(row));
  expect(missing).toEqual([]);
});
