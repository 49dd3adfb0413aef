/** Messages of protos/inference.proto as the loader gives them: every field is there, 64-bit integers are text. */

export interface Parameter {
  readonly parameter_choice?:
    | "bool_param"
    | "int64_param"
    | "string_param"
    | "double_param"
    | "uint64_param";
  readonly bool_param?: boolean;
  readonly int64_param?: string;
  readonly string_param?: string;
  readonly double_param?: number;
  readonly uint64_param?: string;
}
export type Parameters = Readonly<Record<string, Parameter>>;

export interface Contents {
  readonly bool_contents: readonly boolean[];
  readonly int_contents: readonly number[];
  readonly int64_contents: readonly string[];
  readonly uint_contents: readonly number[];
  readonly uint64_contents: readonly string[];
  readonly fp32_contents: readonly number[];
  readonly fp64_contents: readonly number[];
  readonly bytes_contents: readonly Buffer[];
}

export interface InputMessage {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly string[];
  readonly parameters: Parameters;
  readonly contents: Contents | null;
}

export interface InferMessage {
  readonly model_name: string;
  readonly model_version: string;
  readonly id: string;
  readonly parameters: Parameters;
  readonly inputs: readonly InputMessage[];
  readonly outputs: readonly { readonly name: string; readonly parameters: Parameters }[];
  readonly raw_input_contents: readonly Buffer[];
}

export interface InferAnswerMessage {
  readonly model_name: string;
  readonly model_version: string;
  readonly id: string;
  readonly outputs: readonly {
    readonly name: string;
    readonly datatype: string;
    readonly shape: readonly number[];
  }[];
  readonly raw_output_contents: readonly Buffer[];
}

/** Of requests that name a model. */
export interface ModelMessage {
  readonly name: string;
  readonly version: string;
}
