import { createHash } from "node:crypto";
import { extname } from "node:path";
import { Readable } from "node:stream";

import type { BlobHTTPHeaders, BlockBlobClient, ContainerClient } from "@azure/storage-blob";

import { CliError } from "../errors.ts";
import { mapBounded } from "./bounded.ts";
import type { Destination } from "./destination.ts";
import type { Block, DigestedFile } from "./digest.ts";
import { readBlock } from "./digest.ts";
import type { RemoteFile } from "./remote.ts";
import { statFile } from "./remote.ts";
import type { Request } from "./request.ts";
import { isConflict, isStatus } from "./request.ts";

export interface UploadContext {
  readonly container: ContainerClient;
  readonly destination: Destination;
  readonly request: Request;
  /** Bounds the requests in flight, and so the blocks in memory, over all files. */
  readonly inSlot: <T>(task: () => Promise<T>) => Promise<T>;
  readonly onBytes: (bytes: number) => void;
}

const MAX_BLOCKS_AT_ONCE = 16;
const emptyBlock: Block = {
  offset: 0,
  length: 0,
  sha256: createHash("sha256").digest("hex"),
};
const contentTypes: Readonly<Record<string, string>> = {
  ".json": "application/json",
  ".txt": "text/plain; charset=utf-8",
};

/** Uploads one file if no blob of its name exists; overwrites nothing. @returns whether it was sent */
export async function uploadFile(
  context: UploadContext,
  file: DigestedFile,
  signal: AbortSignal,
): Promise<"uploaded" | "present"> {
  const blob = context.container.getBlockBlobClient(context.destination.prefix + file.path);
  try {
    if (file.blocks.length <= 1) await putWhole(context, blob, file, signal);
    else await putBlocks(context, blob, file, signal);
    return "uploaded";
  } catch (error) {
    if (!(error instanceof CliError) || !isConflict(error.cause)) throw error;
    // Another publisher was first, or the response to our own request was lost. If the content is the same, both are fine.
    const there = await statFile(context.container, blob.name, context.request, signal);
    if (!there) throw error;
    refuseOther(context.destination, file, there);
    return "present";
  }
}

/** Throws unless the blob holds the file's bytes. */
export function refuseOther(destination: Destination, file: DigestedFile, there: RemoteFile): void {
  if (there.size === file.size && there.sha256 === file.sha256) return;
  const difference =
    there.size !== file.size
      ? `the blob has ${there.size} bytes, the local file ${file.size}`
      : there.sha256 === undefined
        ? "the blob has no sha256 in its metadata, so aiapp publish did not write it"
        : `the blob's sha256 is ${there.sha256.slice(0, 12)}…, the local file's ${file.sha256.slice(0, 12)}…`;
  throw new CliError(
    "PublishConflict",
    `${destination.store}/${destination.prefix}${file.path} exists with other content: ${difference}`,
    startOver(destination),
  );
}

export function startOver({ account, container, prefix }: Destination): string {
  return `Publish under another version, or delete the unfinished one first if it is not in use: az storage blob delete-batch --account-name ${account} --source ${container} --pattern '${prefix}*' --auth-mode login.`;
}

function headers(
  file: DigestedFile,
  blobContentMD5?: Buffer,
): { metadata: Record<string, string>; blobHTTPHeaders: BlobHTTPHeaders } {
  return {
    metadata: { sha256: file.sha256 },
    blobHTTPHeaders: {
      blobContentType: contentTypes[extname(file.path)] ?? "application/octet-stream",
      ...(blobContentMD5 ? { blobContentMD5 } : {}),
    },
  };
}

async function putWhole(
  context: UploadContext,
  blob: BlockBlobClient,
  file: DigestedFile,
  signal: AbortSignal,
): Promise<void> {
  const put = async (bytes: Buffer, progress: Progress): Promise<void> => {
    await blob.upload(() => stream(bytes), bytes.length, {
      ...progress,
      ...headers(file, md5(bytes)),
      conditions: { ifNoneMatch: "*" },
    });
  };
  await send(context, file, file.blocks[0] ?? emptyBlock, put, signal);
}

async function putBlocks(
  context: UploadContext,
  blob: BlockBlobClient,
  file: DigestedFile,
  signal: AbortSignal,
): Promise<void> {
  const { request, onBytes } = context;
  const staged = await stagedBlocks(blob, file, request, signal);
  async function stage(block: Block, signal: AbortSignal): Promise<string> {
    const id = blockId(block);
    const put = async (bytes: Buffer, progress: Progress): Promise<void> => {
      const transactionalContentMD5 = md5(bytes);
      await blob.stageBlock(id, () => stream(bytes), bytes.length, {
        ...progress,
        transactionalContentMD5,
      });
    };
    if (staged.has(id)) onBytes(block.length);
    else await send(context, file, block, put, signal);
    return id;
  }
  const ids = await mapBounded(file.blocks, MAX_BLOCKS_AT_ONCE, stage, signal);
  await request(
    `committing ${file.path}`,
    async ({ abortSignal }) => {
      await blob.commitBlockList(ids, {
        abortSignal,
        ...headers(file),
        conditions: { ifNoneMatch: "*" },
      });
    },
    signal,
  );
}

interface Progress {
  readonly abortSignal: AbortSignal;
  readonly onProgress: (progress: { readonly loadedBytes: number }) => void;
}

/** Sends one block in one request, and reports its bytes while they are sent. */
async function send(
  { inSlot, request, onBytes }: UploadContext,
  file: DigestedFile,
  block: Block,
  put: (bytes: Buffer, progress: Progress) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  await inSlot(async () => {
    signal.throwIfAborted();
    const bytes = await readBlock(file, block);
    let reported = 0;
    function reportTotal(loadedBytes: number): void {
      onBytes(loadedBytes - reported);
      reported = loadedBytes;
    }
    await request(
      `uploading ${file.path}`,
      async ({ abortSignal, onProgress }) => {
        reportTotal(0);
        await put(bytes, {
          abortSignal,
          onProgress: ({ loadedBytes }) => {
            onProgress();
            reportTotal(loadedBytes);
          },
        });
      },
      signal,
    );
    reportTotal(block.length);
  });
}

/** Blocks that an interrupted run uploaded. Their ids name their content, so that this run can skip them. */
async function stagedBlocks(
  blob: BlockBlobClient,
  file: DigestedFile,
  request: Request,
  signal: AbortSignal,
): Promise<ReadonlySet<string>> {
  return request(
    `listing the uncommitted blocks of ${file.path}`,
    async ({ abortSignal }) => {
      try {
        const list = await blob.getBlockList("uncommitted", { abortSignal });
        return new Set((list.uncommittedBlocks ?? []).map((block) => block.name));
      } catch (error) {
        if (isStatus(error, 404)) return new Set<string>();
        throw error;
      }
    },
    signal,
  );
}

/** All ids of a blob must have one length, at most 64 bytes. */
function blockId({ offset, sha256 }: Block): string {
  return Buffer.from(`${String(offset).padStart(16, "0")}-${sha256.slice(0, 40)}`).toString(
    "base64",
  );
}

function md5(bytes: Buffer): Buffer {
  return createHash("md5").update(bytes).digest();
}

/** Streams in small chunks, so that a slow connection makes progress and only a dead one counts as stalled. */
function stream(bytes: Buffer): Readable {
  function* pieces(): Generator<Buffer> {
    for (let at = 0; at < bytes.length; at += 65_536) yield bytes.subarray(at, at + 65_536);
  }
  return Readable.from(pieces(), { objectMode: false, highWaterMark: 65_536 });
}
