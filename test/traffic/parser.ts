/** Parses consecutive HTTP/1.1 responses from a socket (RFC 9112): strict, bounded, and only what scoring servers use. */
export interface HttpResponse {
  readonly status: number;
  /** By lower-case name; the last value of a repeated header. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Buffer;
  /** `Connection: close`, or HTTP/1.0: the connection ends with this response. */
  readonly lastOne: boolean;
}

export interface ResponseParser {
  /** @throws Error when the bytes are not HTTP. */
  readonly push: (chunk: Buffer) => HttpResponse[];
  /** Call it when the peer has closed: returns the response that the close ends, if there is one. */
  readonly end: () => HttpResponse | undefined;
  /** Whether it has received a response in part. */
  readonly midway: () => boolean;
}

const MAX_HEAD = 64 * 1024;
const MAX_BODY = 8 * 1024 * 1024;

interface Head {
  readonly status: number;
  readonly headers: Map<string, string>;
  readonly lastOne: boolean;
}

export function createResponseParser(): ResponseParser {
  let buffer: Buffer = Buffer.alloc(0);
  let head: Head | undefined;

  function next(): HttpResponse | undefined {
    head ??= takeHead();
    if (!head) return undefined;
    const body = takeBody(head);
    if (!body) return undefined;
    const response = { ...head, body };
    head = undefined;
    return response;
  }

  function takeHead(): Head | undefined {
    for (;;) {
      const end = buffer.indexOf("\r\n\r\n");
      if (end > MAX_HEAD || (end < 0 && buffer.length > MAX_HEAD)) {
        throw new Error("the head of the response is too long");
      }
      if (end < 0) return undefined;
      const parsed = parseHead(buffer.toString("latin1", 0, end));
      buffer = buffer.subarray(end + 4);
      // 1xx responses precede the final response.
      if (parsed.status >= 200) return parsed;
    }
  }

  function takeBody({ status, headers }: Head): Buffer | undefined {
    if (status === 204 || status === 304) return Buffer.alloc(0);
    if (headers.get("transfer-encoding")?.toLowerCase().includes("chunked")) return takeChunks();
    const length = headers.get("content-length");
    if (length === undefined) {
      if (buffer.length > MAX_BODY) throw new Error("the body of the response is too long");
      return undefined;
    }
    if (!/^\d{1,10}$/.test(length) || Number(length) > MAX_BODY) {
      throw new Error(`content-length ${length}`);
    }
    if (buffer.length < Number(length)) return undefined;
    const body = buffer.subarray(0, Number(length));
    buffer = buffer.subarray(Number(length));
    return body;
  }

  /** Parses all chunks again with each read: responses are small. */
  function takeChunks(): Buffer | undefined {
    const chunks: Buffer[] = [];
    let at = 0;
    let total = 0;
    for (;;) {
      const lineEnd = buffer.indexOf("\r\n", at);
      if (lineEnd < 0) return undefined;
      const size = /^[0-9a-f]{1,7}/i.exec(buffer.toString("latin1", at, lineEnd))?.[0];
      if (size === undefined) throw new Error("a chunk without a size");
      const length = Number.parseInt(size, 16);
      at = lineEnd + 2;
      if (length === 0) {
        const end = buffer.indexOf("\r\n", at);
        if (end < 0) return undefined;
        if (end > at) throw new Error("trailers are not supported");
        buffer = buffer.subarray(end + 2);
        return Buffer.concat(chunks);
      }
      total += length;
      if (total > MAX_BODY) throw new Error("the body of the response is too long");
      if (buffer.length < at + length + 2) return undefined;
      chunks.push(buffer.subarray(at, at + length));
      at += length + 2;
    }
  }

  function untilClose(): boolean {
    return (
      head !== undefined &&
      head.headers.get("content-length") === undefined &&
      head.headers.get("transfer-encoding") === undefined
    );
  }

  return {
    push(chunk) {
      buffer = buffer.length === 0 ? chunk : Buffer.concat([buffer, chunk]);
      const responses: HttpResponse[] = [];
      for (let response = next(); response; response = next()) responses.push(response);
      return responses;
    },
    end() {
      if (!head || !untilClose()) return undefined;
      const response = { ...head, body: buffer, lastOne: true };
      head = undefined;
      buffer = Buffer.alloc(0);
      return response;
    },
    midway: () => head !== undefined || buffer.length > 0,
  };
}

function parseHead(text: string): Head {
  const [statusLine = "", ...lines] = text.split("\r\n");
  const match = /^HTTP\/1\.([01]) (\d{3})(?: |$)/.exec(statusLine);
  if (!match) throw new Error(`not HTTP/1.1: ${JSON.stringify(statusLine.slice(0, 40))}`);
  const headers = new Map<string, string>();
  for (const line of lines) {
    const colon = line.indexOf(":");
    if (colon < 1) throw new Error(`a header without a name: ${JSON.stringify(line.slice(0, 40))}`);
    headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
  }
  const connection = headers.get("connection")?.toLowerCase() ?? "";
  const lastOne =
    connection.includes("close") || (match[1] === "0" && !connection.includes("keep-alive"));
  return { status: Number(match[2]), headers, lastOne };
}
