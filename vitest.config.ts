import { defineConfig } from "vitest/config";

/** CommonJS packages are imported as Node.js does it, here as in production. */
const deps = { interopDefault: false } as const;

/** Four tiers, from seconds to minutes: `npm test -- unit | contract | integration | e2e | FILE`. */
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          deps,
          include: [
            "{crds,operator,model-server,cli,docs,bench,supply-chain,test/cluster,test/fuzz,test/mistakes,test/support,test/traffic}/**/*.test.ts",
          ],
          testTimeout: 30_000,
          hookTimeout: 30_000,
        },
      },
      {
        test: {
          name: "contract",
          deps,
          include: ["test/contract/**/*.test.ts"],
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: "integration",
          deps,
          include: ["test/integration/**/*.test.ts"],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          // Each file starts an API server of its own: two at a time fit two cores.
          maxWorkers: 2,
        },
      },
      {
        test: {
          name: "e2e",
          deps,
          include: ["test/e2e/**/*.test.ts"],
          globalSetup: ["test/e2e/global.ts"],
          testTimeout: 600_000,
          hookTimeout: 900_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
