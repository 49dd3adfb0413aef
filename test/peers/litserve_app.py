"""LitServe with batches: `litserve_app.py PORT WORKERS`."""

import sys

import litserve
import numpy as np

from onnx_session import Scorer


class Scoring(litserve.LitAPI):
    def setup(self, device):
        self._scorer = Scorer()

    def decode_request(self, request):
        return np.asarray(request["input"][0], dtype=np.float32)

    def predict(self, batch):
        return self._scorer(batch)

    def encode_response(self, output):
        return {"output": [output.tolist()]}


if __name__ == "__main__":
    port, workers = map(int, sys.argv[1:])
    api = Scoring(max_batch_size=16, batch_timeout=0.001)
    server = litserve.LitServer(
        api, accelerator="cpu", workers_per_device=workers, fast_queue=True
    )
    server.run(
        host="127.0.0.1",
        port=port,
        num_api_servers=workers,
        log_level="error",
        generate_client_file=False,
    )
