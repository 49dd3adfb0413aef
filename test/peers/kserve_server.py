"""KServe's Python server with the ONNX models that are named in front of its own options: NAME=FILE …"""

import sys

import numpy as np
from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer
from kserve.utils.utils import generate_uuid

from onnx_session import describe, open_session


class OnnxModel(Model):
    def __init__(self, name: str, file: str):
        super().__init__(name)
        self._file = file
        self._session = open_session(file)
        self.ready = True

    # Each worker gets a copy, and opens a session of its own.
    def __getstate__(self):
        return {**self.__dict__, "_session": None}

    def __setstate__(self, state):
        self.__dict__.update(state)
        self._session = open_session(self._file)

    def get_input_types(self) -> list[dict]:
        return describe(self._session.get_inputs())

    def get_output_types(self) -> list[dict]:
        return describe(self._session.get_outputs())

    def predict(self, payload: InferRequest, headers=None, response_headers=None) -> InferResponse:
        feeds = {one.name: decoded(one) for one in payload.inputs}
        datatypes = {port["name"]: port["datatype"] for port in self.get_output_types()}
        names = [one.name for one in payload.request_outputs or []] or list(datatypes)
        return InferResponse(
            response_id=payload.id or generate_uuid(),
            model_name=self.name,
            infer_outputs=[
                encoded(InferOutput(name, list(value.shape), datatypes[name]), value)
                for name, value in zip(names, self._session.run(names, feeds))
            ],
            requested_outputs=payload.request_outputs,
            use_binary_outputs=payload.use_binary_outputs,
        )


def decoded(tensor) -> np.ndarray:
    values = tensor.as_numpy()
    if tensor.datatype != "BYTES":
        return values
    texts = [one.decode() if isinstance(one, bytes) else one for one in values.flatten()]
    return np.array(texts, dtype=object).reshape(values.shape)


def encoded(output: InferOutput, value: np.ndarray) -> InferOutput:
    output.set_data_from_numpy(value)
    return output


if __name__ == "__main__":
    named = [one.split("=", 1) for one in sys.argv[1:] if not one.startswith("--")]
    ModelServer().start([OnnxModel(name, file) for name, file in named])
