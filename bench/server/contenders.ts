import { cores } from "../../model-server/cores.ts";
import { nest } from "../../model-server/tensor/nest.ts";
import { startKserve } from "../../test/peers/kserve.ts";
import { startMlserver } from "../../test/peers/mlserver.ts";
import { others, startOther } from "../../test/peers/others.ts";
import type { LoadRequest } from "./load.ts";
import type { BenchModel } from "./models.ts";
import { binaryRequest, jsonRequest, valuesOf } from "./ours.ts";
import type { ServerProcess } from "./process.ts";

/** The other servers that the model server is measured against, and requests in the forms that they take. */

/** What batching servers may wait for company. */
const BATCH = { rows: 16, seconds: 0.001 } as const;

export type Transport = "JSON" | "raw";
export type Requests = Readonly<Partial<Record<Transport, LoadRequest>>>;

export interface Contender {
  readonly title: string;
  /** Of the file of its packages. */
  readonly packages: string;
  readonly start: (model: BenchModel) => Promise<ServerProcess>;
  readonly requests: (url: string, model: BenchModel) => Requests;
}

export const contenders: readonly Contender[] = [
  {
    title: "Flask + gunicorn",
    packages: "flask",
    start: ({ file }) => startOther(others.flask, file, cores()),
    requests: ownRequests,
  },
  {
    title: "FastAPI + uvicorn",
    packages: "fastapi",
    start: ({ file }) => startOther(others.fastapi, file, cores()),
    requests: ownRequests,
  },
  {
    title: "LitServe",
    packages: "litserve",
    start: ({ file }) => startOther(others.litserve, file, cores()),
    requests: (url, model) => ({ JSON: jsonOf(`${url}/predict`, "input", model) }),
  },
  {
    title: "MLServer",
    packages: "mlserver",
    start: ({ file }) => startMlserver({ models: { model: file }, workers: cores(), batch: BATCH }),
    requests: (url, model) => ({ JSON: jsonRequest(url, model) }),
  },
  {
    title: "KServe",
    packages: "kserve",
    start: ({ file }) => startKserve({ models: { model: file }, workers: cores() }),
    requests: protocolRequests,
  },
  {
    title: "BentoML",
    packages: "bentoml",
    start: ({ file }) => startOther(others.bentoml, file, cores()),
    requests: (url, model) => ({ JSON: jsonOf(`${url}/predict`, "values", model) }),
  },
];

/** The Open Inference Protocol, with its binary extension. */
export function protocolRequests(url: string, model: BenchModel): Requests {
  return { JSON: jsonRequest(url, model), raw: binaryRequest(url, model) };
}

/** Of the programs that have no protocol: values nested in JSON, or nothing but their bytes. */
function ownRequests(url: string, model: BenchModel): Requests {
  const raw = {
    url: `${url}/raw`,
    headers: { "content-type": "application/octet-stream" },
    body: Buffer.from(valuesOf(model.shape).buffer),
  };
  return { JSON: jsonOf(`${url}/json`, "input", model), raw };
}

function jsonOf(url: string, name: string, { shape }: BenchModel): LoadRequest {
  return {
    url,
    headers: { "content-type": "application/json" },
    body: Buffer.from(JSON.stringify({ [name]: [nest(Array.from(valuesOf(shape)), shape)] })),
  };
}
