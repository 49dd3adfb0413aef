/** What `GET /ui/model.json` answers. */
export interface Model {
  readonly name: string;
  readonly version: string;
  readonly release: string;
  readonly server: string;
  readonly runtime: string;
  readonly ready: boolean;
  readonly inputs: readonly Port[];
  /** Whether POST /score answers classes. */
  readonly hasLabels: boolean;
  /** Undefined where the model takes no images; otherwise the pixels that it sees. */
  readonly image?: { readonly width: number; readonly height: number };
  /** The body of the first sample's request. */
  readonly sample?: unknown;
}

export interface Port {
  readonly name: string;
  readonly datatype: string;
  /** -1: any size. */
  readonly shape: readonly number[];
}

/** Values by the names of inputs, nested as their shapes say. */
export type Values = Readonly<Record<string, unknown>>;

/** A request as it is sent and shown. */
export interface ServerRequest {
  readonly url: string;
  readonly contentType: string;
  /** A picture, or the text of JSON. */
  readonly body: { readonly file: string; readonly blob: Blob } | { readonly json: string };
  /** Whether the server asks for a key. */
  readonly hasKey: boolean;
}

/** A field of the form: one element of an input. */
export interface Field {
  readonly label: string;
  readonly input: string;
  readonly datatype: string;
  readonly initial: unknown;
}
