import type { PeerName } from "./models.ts";

/** Why another server answers requests in another way than the model server. */
export interface Difference {
  readonly peer: PeerName;
  readonly reason: string;
  /** Titles of `rows.ts`. */
  readonly requests: readonly string[];
}

export const differences: readonly Difference[] = [
  {
    peer: "mlserver",
    reason: "it redirects to /v2",
    requests: ["the same with a slash at the end"],
  },
  { peer: "kserve", reason: "it redirects to /v2", requests: ["the same with a slash at the end"] },
  {
    peer: "kserve",
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
    peer: "mlserver",
    reason: "it lists its models by the repository's index alone",
    requests: ["the models"],
  },
  {
    peer: "kserve",
    reason: "it lists its models at /v2/models alone",
    requests: ["the repository's index"],
  },
  {
    peer: "mlserver",
    reason: "it does not have these extensions",
    requests: ["a model's statistics", "a model's configuration"],
  },
  {
    peer: "kserve",
    reason: "it does not have these extensions",
    requests: ["a model's statistics", "a model's configuration"],
  },
  {
    peer: "mlserver",
    reason: 'the status is the same, the body is FastAPI\'s own: {"detail": …} and no error',
    requests: ["an unknown path", "an inference by GET"],
  },
  {
    peer: "kserve",
    reason: 'the status is the same, the body is FastAPI\'s own: {"detail": …} and no error',
    requests: ["an unknown path", "an inference by GET"],
  },
  {
    peer: "kserve",
    reason: "it takes a body for raw bytes unless the content type is application/json",
    requests: ["no content type"],
  },
  { peer: "kserve", reason: "it does not decompress bodies", requests: ["a body of gzip"] },
  {
    peer: "mlserver",
    reason:
      "it writes all digits as a number, which readers that know only doubles change; text keeps them",
    requests: ["integers beyond 2^53", "the same as text"],
  },
  {
    peer: "kserve",
    reason:
      "it writes all digits as a number, which readers that know only doubles change; text keeps them",
    requests: ["integers beyond 2^53", "the same as text"],
  },
  { peer: "kserve", reason: "it takes and gives FP16 as raw bytes alone", requests: ["halves"] },
  {
    peer: "mlserver",
    reason: "its codec of text takes flat values alone",
    requests: ["nested text"],
  },
  {
    peer: "mlserver",
    reason:
      'it takes null and "NaN" for NaN, and answers null for NaN and for both infinities: which of them it was is lost',
    requests: ["NaN as text", "null in the place of a number", "a number beyond its datatype"],
  },
  {
    peer: "kserve",
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
    peer: "kserve",
    reason: "its reader of JSON takes the bare word, and answers null",
    requests: ["NaN as a bare word"],
  },
  {
    peer: "mlserver",
    reason: "it ignores the parameter classification",
    requests: ["classification"],
  },
  {
    peer: "kserve",
    reason: "it ignores the parameter classification",
    requests: ["classification"],
  },
  {
    peer: "mlserver",
    reason:
      "it has no binary extension over HTTP: it reads the whole body as JSON, and ignores binary_data_output",
    requests: [
      "raw inputs, outputs as JSON",
      "raw inputs and outputs",
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
    peer: "kserve",
    reason: "it ignores binary_data_output where the request names outputs",
    requests: ["an output as JSON where all others are raw"],
  },
  {
    peer: "kserve",
    reason: "it takes raw bytes after JSON alone",
    requests: ["a body of nothing but raw values"],
  },
  {
    peer: "kserve",
    reason: "it ignores the bytes that are left over",
    requests: ["more raw bytes than the JSON says"],
  },
  {
    peer: "mlserver",
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
    peer: "kserve",
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
    peer: "mlserver",
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
    peer: "kserve",
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
  { peer: "mlserver", reason: "the last of the two counts", requests: ["an input twice"] },
  { peer: "mlserver", reason: "it answers it twice", requests: ["an output twice"] },
  {
    peer: "mlserver",
    reason: "the runtime broadcasts: an addition adds one row to each of two",
    requests: ["rows of different numbers"],
  },
  {
    peer: "mlserver",
    reason: "NumPy reshapes the values, and takes -1 for the size that is left",
    requests: ["values nested in another way than the shape", "a negative dimension"],
  },
  {
    peer: "mlserver",
    reason: "it runs the model on no elements; operators differ in what they make of none",
    requests: ["no rows"],
  },
  {
    peer: "mlserver",
    reason:
      "NumPy converts: it reads numbers from text, cuts fractions off, and takes any number but 0 for true",
    requests: [
      "digits in the place of numbers",
      "a fraction in the place of an integer",
      "a number in the place of a boolean",
    ],
  },
  { peer: "kserve", reason: "the last of the two counts", requests: ["an input twice"] },
  { peer: "kserve", reason: "it answers it twice", requests: ["an output twice"] },
  {
    peer: "kserve",
    reason: "the runtime broadcasts: an addition adds one row to each of two",
    requests: ["rows of different numbers"],
  },
  {
    peer: "kserve",
    reason: "NumPy reshapes the values, and takes -1 for the size that is left",
    requests: ["values nested in another way than the shape", "a negative dimension"],
  },
  {
    peer: "kserve",
    reason: "it runs the model on no elements; operators differ in what they make of none",
    requests: ["no rows"],
  },
  {
    peer: "kserve",
    reason:
      "NumPy converts: it reads numbers from text, cuts fractions off, and takes any number but 0 for true",
    requests: [
      "digits in the place of numbers",
      "a fraction in the place of an integer",
      "a number in the place of a boolean",
    ],
  },
  {
    peer: "mlserver",
    reason: "its codec of text makes an empty text of a number",
    requests: ["numbers in the place of text"],
  },
  {
    peer: "kserve",
    reason: "it makes text of a number",
    requests: ["numbers in the place of text"],
  },
  {
    peer: "kserve",
    reason: "it takes datatypes in any case",
    requests: ["a datatype in lower case"],
  },
];
