import type { PeerName } from "./models.ts";

/** Why other servers answer requests in another way than the model server. */
export interface Difference {
  readonly peers: readonly PeerName[];
  readonly reason: string;
  /** Titles of `rows.ts`. */
  readonly requests: readonly string[];
}

export const differences: readonly Difference[] = [
  {
    peers: ["mlserver", "kserve"],
    reason: "it redirects to /v2",
    requests: ["the same with a slash at the end"],
  },
  {
    peers: ["kserve"],
    reason: "it has no versions: 501",
    requests: [
      "a model's versions",
      "the metadata of a version",
      "a version is ready",
      "a version",
      "an inference of an unknown version",
    ],
  },
  {
    peers: ["mlserver"],
    reason: "it lists its models by the repository's index alone",
    requests: ["the models"],
  },
  {
    peers: ["kserve"],
    reason: "it lists its models at /v2/models alone",
    requests: ["the repository's index"],
  },
  {
    peers: ["mlserver", "kserve"],
    reason: "it does not have these extensions",
    requests: ["a model's statistics", "a model's configuration"],
  },
  {
    peers: ["mlserver", "kserve"],
    reason: 'the status is the same, the body is FastAPI\'s own: {"detail": …} and no error',
    requests: ["an unknown path", "an inference by GET"],
  },
  {
    peers: ["kserve"],
    reason: "it takes a body for raw bytes unless the content type is application/json",
    requests: ["no content type"],
  },
  { peers: ["kserve"], reason: "it does not decompress bodies", requests: ["a body of gzip"] },
  {
    peers: ["mlserver", "kserve"],
    reason:
      "it writes all digits as a number, which readers that know only doubles change; text keeps them",
    requests: ["integers beyond 2^53", "the same as text"],
  },
  { peers: ["kserve"], reason: "it takes and gives FP16 as raw bytes alone", requests: ["halves"] },
  {
    peers: ["mlserver"],
    reason: "its codec of text takes flat values alone",
    requests: ["nested text"],
  },
  {
    peers: ["mlserver"],
    reason:
      'it takes null and "NaN" for NaN, and answers null for NaN and for both infinities: which of them it was is lost',
    requests: ["NaN as text", "null in the place of a number", "a number beyond its datatype"],
  },
  {
    peers: ["kserve"],
    reason:
      'it takes null and "NaN" for NaN, and answers null for NaN and for both infinities: which of them it was is lost',
    requests: [
      "NaN as text",
      "null in the place of a number",
      "NaN and infinities in an answer of JSON",
      "a number beyond its datatype",
    ],
  },
  {
    peers: ["kserve"],
    reason: "its reader of JSON takes the bare word, and answers null",
    requests: ["NaN as a bare word"],
  },
  {
    peers: ["mlserver", "kserve"],
    reason: "it ignores the parameter classification",
    requests: ["classification"],
  },
  {
    peers: ["mlserver"],
    reason:
      "it has no binary extension over HTTP: it reads the whole body as JSON, and ignores binary_data_output",
    requests: [
      "raw inputs, outputs as JSON",
      "raw inputs and outputs",
      "raw inputs and outputs of no rows",
      "inputs as JSON, raw outputs",
      "one raw output, the other as JSON",
      "an output as JSON where all others are raw",
      "one raw input, the other as JSON",
      "raw text",
      "raw halves",
      "raw NaN and infinities",
      "NaN and infinities in an answer of JSON",
      "a body of nothing but raw values",
      "fewer raw bytes than the JSON says",
      "more raw bytes than the JSON says",
      "fewer raw bytes than the shape needs",
      "a header that is longer than the body",
      "a header that cuts the JSON",
    ],
  },
  {
    peers: ["kserve"],
    reason: "it ignores binary_data_output where the request names outputs",
    requests: ["an output as JSON where all others are raw"],
  },
  {
    peers: ["kserve"],
    reason: "it takes raw bytes after JSON alone",
    requests: ["a body of nothing but raw values"],
  },
  {
    peers: ["kserve"],
    reason: "it fails with a 500 where data of JSON is an empty list",
    requests: ["no rows"],
  },
  {
    peers: ["kserve"],
    reason: "it ignores the bytes that are left over",
    requests: ["more raw bytes than the JSON says"],
  },
  {
    peers: ["mlserver"],
    reason: 'its schema refuses the request as well: FastAPI answers 422 with {"detail": …}',
    requests: [
      "NaN as a bare word",
      "an empty body",
      "a body that is not JSON",
      "a list",
      "no inputs",
      "a number as id",
      "an unknown datatype",
      "a datatype in lower case",
      "a fractional dimension",
      "no values",
    ],
  },
  {
    peers: ["kserve"],
    reason: 'its schema refuses the request as well: FastAPI answers 422 with {"detail": …}',
    requests: [
      "an empty body",
      "a body that is not JSON",
      "a list",
      "no inputs",
      "a number as id",
      "a fractional dimension",
      "no values",
      "one value in the place of a list",
    ],
  },
  {
    peers: ["mlserver"],
    reason:
      "it does not check requests against the model's metadata: what NumPy or the runtime throws becomes a 500",
    requests: [
      "a missing input",
      "an unknown input",
      "an unknown output",
      "doubles for floats",
      "integers for floats",
      "text for floats",
      "another rank",
      "another size of a row",
      "fewer values than the shape needs",
      "more values than the shape needs",
      "ragged values",
      "a shape beyond any memory",
      "one value in the place of a list",
      "words in the place of numbers",
      "an integer beyond its datatype",
    ],
  },
  {
    peers: ["kserve"],
    reason:
      "it does not check requests against the model's metadata: what NumPy or the runtime throws becomes a 500",
    requests: [
      "fewer raw bytes than the JSON says",
      "fewer raw bytes than the shape needs",
      "a missing input",
      "an unknown input",
      "an unknown output",
      "doubles for floats",
      "integers for floats",
      "text for floats",
      "another rank",
      "another size of a row",
      "fewer values than the shape needs",
      "more values than the shape needs",
      "ragged values",
      "a shape beyond any memory",
      "words in the place of numbers",
      "an integer beyond its datatype",
    ],
  },
  {
    peers: ["mlserver", "kserve"],
    reason: "the last of the two counts",
    requests: ["an input twice"],
  },
  { peers: ["mlserver", "kserve"], reason: "it answers it twice", requests: ["an output twice"] },
  {
    peers: ["mlserver", "kserve"],
    reason: "the runtime broadcasts: an addition adds one row to each of two",
    requests: ["rows of different numbers"],
  },
  {
    peers: ["mlserver", "kserve"],
    reason: "NumPy reshapes the values, and takes -1 for the size that is left",
    requests: ["values nested in another way than the shape", "a negative dimension"],
  },
  {
    peers: ["mlserver", "kserve"],
    reason:
      "NumPy converts: it reads numbers from text, cuts fractions off, and takes any number but 0 for true",
    requests: [
      "digits in the place of numbers",
      "a fraction in the place of an integer",
      "a number in the place of a boolean",
    ],
  },
  {
    peers: ["mlserver"],
    reason: "its codec of text makes an empty text of a number",
    requests: ["numbers in the place of text"],
  },
  {
    peers: ["kserve"],
    reason: "it makes text of a number",
    requests: ["numbers in the place of text"],
  },
  {
    peers: ["kserve"],
    reason: "it takes datatypes in any case",
    requests: ["a datatype in lower case"],
  },
];
