"""A runtime of MLServer for ONNX models, as its documentation says to write one: MLServer has none of its own."""

import numpy as np
import onnxruntime
from mlserver import MLModel
from mlserver.codecs import NumpyCodec, StringCodec
from mlserver.types import InferenceRequest, InferenceResponse, MetadataTensor

from onnx_session import describe, open_session


class OnnxRuntime(MLModel):
    async def load(self) -> bool:
        self._session: onnxruntime.InferenceSession = open_session(self.settings.parameters.uri)
        self.inputs = [MetadataTensor(**port) for port in describe(self._session.get_inputs())]
        self.outputs = [MetadataTensor(**port) for port in describe(self._session.get_outputs())]
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        feeds = {one.name: self._decoded(one) for one in payload.inputs}
        names = [one.name for one in payload.outputs or self.outputs]
        results = self._session.run(names, feeds)
        return InferenceResponse(
            id=payload.id,
            model_name=self.name,
            model_version=self.version,
            outputs=[self._encoded(name, value) for name, value in zip(names, results)],
        )

    def _decoded(self, tensor):
        if tensor.datatype == "BYTES":
            texts = StringCodec.decode_input(tensor)
            return np.array(texts, dtype=object).reshape(tensor.shape)
        return self.decode(tensor, default_codec=NumpyCodec)

    def _encoded(self, name, value):
        if value.dtype != object:
            return NumpyCodec.encode_output(name, value)
        output = StringCodec.encode_output(name, value.flatten().tolist())
        output.shape = list(value.shape)
        return output
