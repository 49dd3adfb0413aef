import { writeFile } from "node:fs/promises";

import { z } from "zod";

import { messageOf, OperatorError, reasonOf } from "../errors.ts";
import { excerpt } from "./excerpt.ts";
import { verify, type Verification } from "./verify.ts";

/**
 * Verifies a release before its pods get requests: `node operator/verify/main.ts`, in one pod with the server, scores the
 * bundle's samples over loopback. The termination message is the verdict. Exit codes: 0, verified; 1, the release fails:
 * `<Reason>: what, where, what to do`; 2, the verification could not run; 143, SIGTERM interrupted it. Messages of the
 * last two begin with no reason, because they are no verdict on the release.
 */
const UNFIT = 2;
const INTERRUPTED = 143;
/** The kubelet keeps the last 4096 bytes: the reason stands first. */
const MAX_MESSAGE = 1000;

/** The server runs in the same pod: samples go nowhere else. */
const LoopbackUrl = z
  .url()
  .transform((text) => new URL(text))
  .refine(
    ({ protocol, hostname }) =>
      protocol === "http:" && (hostname === "[::1]" || /^127(?:\.\d{1,3}){3}$/.test(hostname)),
    "must be http:// at a loopback address, such as http://127.0.0.1:8080/",
  );

const Seconds = z.coerce.number().min(1).max(86_400);

const Environment = z
  .object({
    MODEL_DIR: z.string().min(1),
    READY_URL: LoopbackUrl,
    /** Where the server must be ready, in the place of the loopback address. */
    POD_IP: z.ipv4().or(z.ipv6()).optional(),
    SCORE_URL: z
      .literal("")
      .transform(() => undefined)
      .or(LoopbackUrl)
      .optional(),
    VERIFY_SAMPLES: z.stringbool().default(true),
    TIMEOUT_SECONDS: Seconds.default(540),
    REQUEST_TIMEOUT_SECONDS: Seconds.default(60),
  })
  .transform((environment): Verification => ({
    bundle: environment.MODEL_DIR,
    readyUrl: at(environment.READY_URL, environment.POD_IP),
    scoreUrl: environment.SCORE_URL,
    scoresSamples: environment.VERIFY_SAMPLES,
    timeoutMs: environment.TIMEOUT_SECONDS * 1000,
    requestTimeoutMs: environment.REQUEST_TIMEOUT_SECONDS * 1000,
  }));

function at(url: URL, ip: string | undefined): URL {
  if (ip === undefined) return url;
  const moved = new URL(url);
  moved.hostname = ip.includes(":") ? `[${ip}]` : ip;
  return moved;
}

interface Verdict {
  readonly exitCode: number;
  readonly message: string;
}

async function decide(signal: AbortSignal): Promise<Verdict> {
  try {
    const parsed = Environment.safeParse(process.env);
    if (!parsed.success) throw new OperatorError("CONFIG_INVALID", z.prettifyError(parsed.error));
    return { exitCode: 0, message: `Verified: ${await verify(parsed.data, signal)}` };
  } catch (error) {
    if (signal.aborted)
      return { exitCode: INTERRUPTED, message: "the verification was interrupted by SIGTERM" };
    const reason = error instanceof OperatorError ? reasonOf(error.code) : undefined;
    const message = messageOf(error);
    return reason === undefined
      ? { exitCode: UNFIT, message: `the verification could not run: ${message}` }
      : { exitCode: 1, message: `${reason}: ${message}` };
  }
}

const stop = new AbortController();
process.once("SIGTERM", () => stop.abort());
const verdict = await decide(stop.signal);
const message = excerpt(verdict.message, MAX_MESSAGE);
if (verdict.exitCode === 0) console.log(message);
else console.error(message);
// Not in a pod: the streams have it.
await writeFile(process.env["TERMINATION_LOG"] ?? "/dev/termination-log", message).catch(() => {});
process.exit(verdict.exitCode);
