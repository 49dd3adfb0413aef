"""BentoML with batches: `bentoml serve bentoml_service:Scoring`."""

import os

import bentoml
import numpy as np

from onnx_session import Scorer


@bentoml.service(
    workers=int(os.environ["WORKERS"]), logging={"access": {"enabled": False}}
)
class Scoring:
    def __init__(self):
        self._scorer = Scorer()

    @bentoml.api(batchable=True, max_batch_size=16, max_latency_ms=10_000)
    def predict(self, values: np.ndarray) -> np.ndarray:
        return self._scorer(values)
