/** A part of a chunk. */
export interface FramePart {
  /** Whether a message begins with it. */
  readonly isStart: boolean;
  readonly bytes: number;
}

/** The messages of a stream of gRPC: each has a flag and its length in four bytes in front. */
export interface Frames {
  /** Of each message in the chunk, in order, how many bytes are there. */
  readonly split: (chunk: Buffer) => readonly FramePart[];
}

const HEAD_BYTES = 5;

export function createFrames(): Frames {
  const head = Buffer.alloc(HEAD_BYTES);
  /** Bytes of the head that have come. */
  let known = 0;
  /** Bytes of the message that are still to come. */
  let left = 0;
  return {
    split: (chunk) => {
      const parts: FramePart[] = [];
      for (let at = 0; at < chunk.length;) {
        const start = at;
        const isStart = known === 0;
        const ofHead = chunk.copy(head, known, at, at + HEAD_BYTES - known);
        known += ofHead;
        at += ofHead;
        if (ofHead > 0 && known === HEAD_BYTES) left = head.readUInt32BE(1);
        const ofMessage = known === HEAD_BYTES ? Math.min(left, chunk.length - at) : 0;
        left -= ofMessage;
        at += ofMessage;
        if (known === HEAD_BYTES && left === 0) known = 0;
        parts.push({ isStart, bytes: at - start });
      }
      return parts;
    },
  };
}
