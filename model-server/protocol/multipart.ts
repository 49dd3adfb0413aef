import { MIMEType } from "node:util";

import { invalidRequest } from "../errors.ts";
import { MAX_ROWS } from "./score.ts";

/** Other fields of a form, such as those of its buttons. */
const MORE_PARTS = 64;

export interface FormFiles {
  readonly files: readonly Uint8Array[];
  /** The name of each file's field. */
  readonly fields: readonly string[];
}

/**
 * The files of a form: the other fields are ignored.
 * @param type the header Content-Type
 * @throws REQUEST_INVALID
 */
export async function readFiles(body: Buffer, type: string): Promise<FormFiles> {
  const boundary = boundaryOf(type);
  // Each part becomes several objects: a body of many small ones would take many times its size.
  checkParts(body, boundary);
  const files: Uint8Array[] = [];
  const fields: string[] = [];
  for (const [field, value] of await parse(body, boundary)) {
    if (typeof value === "string") continue;
    files.push(new Uint8Array(await value.arrayBuffer()));
    fields.push(field);
  }
  if (files.length === 0) throw invalidRequest("the form has no file: send images as files");
  if (files.length > MAX_ROWS)
    throw invalidRequest(`${files.length} files at once are too many: send at most ${MAX_ROWS}`);
  return { files, fields };
}

function boundaryOf(type: string): string {
  let boundary: string | null = null;
  try {
    boundary = new MIMEType(type).params.get("boundary");
  } catch {
    // As one without.
  }
  // RFC 2046 allows these characters.
  if (boundary !== null && /^[\w'()+,./:=? -]{1,70}$/.test(boundary)) return boundary;
  throw invalidRequest(
    "the Content-Type multipart/form-data has no valid boundary: let the client's library set this header together with the body",
  );
}

function checkParts(body: Buffer, boundary: string): void {
  const mark = Buffer.from(`--${boundary}`);
  let count = 0;
  for (let at = body.indexOf(mark); at !== -1; at = body.indexOf(mark, at + mark.length)) {
    count += 1;
    if (count > MAX_ROWS + MORE_PARTS)
      throw invalidRequest(`the form has too many parts: send at most ${MAX_ROWS} files`);
  }
}

async function parse(body: Buffer, boundary: string): Promise<FormData> {
  const headers = { "content-type": `multipart/form-data; boundary="${boundary}"` };
  try {
    return await new Response(new Uint8Array(body), { headers }).formData();
  } catch (cause) {
    throw invalidRequest(
      "the body is no valid multipart/form-data: each part needs the boundary of the Content-Type, a Content-Disposition with a name, and an empty line, and the body ends with the boundary and --",
      { cause },
    );
  }
}
