"""What the peers share: the runtime with one thread a run, and the ports of a model in the protocol's words."""

import os

import numpy as np
import onnxruntime

DATATYPES = {
    "bool": "BOOL",
    "uint8": "UINT8",
    "int64": "INT64",
    "float16": "FP16",
    "float": "FP32",
    "double": "FP64",
    "string": "BYTES",
}


def open_session(path: str) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def describe(ports) -> list[dict]:
    return [
        {
            "name": port.name,
            "datatype": DATATYPES[port.type.removeprefix("tensor(").removesuffix(")")],
            "shape": [dim if isinstance(dim, int) else -1 for dim in port.shape],
        }
        for port in ports
    ]


class Scorer:
    """The model of MODEL_FILE: one input of floats whose first dimension is the batch, and one output."""

    def __init__(self):
        self._session = open_session(os.environ["MODEL_FILE"])
        port = self._session.get_inputs()[0]
        self._name, self._shape = port.name, port.shape[1:]

    def __call__(self, values) -> np.ndarray:
        array = np.asarray(values, dtype=np.float32).reshape(-1, *self._shape)
        return self._session.run(None, {self._name: array})[0]

    def of_bytes(self, raw: bytes) -> bytes:
        """Of little-endian values, and as such."""
        return self(np.frombuffer(raw, dtype=np.float32)).tobytes()
