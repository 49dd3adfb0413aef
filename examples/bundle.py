"""What the example models share: small ONNX graphs from trained weights, and the files of a bundle."""

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def network(name, layers, row_shape):
    """An ONNX model of dense layers with ReLU between them and a softmax at the end.

    layers: [(weights [in, out], bias [out]), …]; the input is float32 [N, *row_shape], scaled by the caller.
    """
    nodes, weights = [], []
    value = "input"
    if len(row_shape) > 1:
        nodes.append(helper.make_node("Flatten", [value], ["flat"], axis=1))
        value = "flat"
    for index, (matrix, bias) in enumerate(layers):
        last = index == len(layers) - 1
        for kind, array in (("weights", matrix), ("bias", bias)):
            weights.append(numpy_helper.from_array(np.asarray(array, np.float32), f"{kind}{index}"))
        sum_ = f"sum{index}"
        nodes.append(helper.make_node("Gemm", [value, f"weights{index}", f"bias{index}"], [sum_]))
        value = "probabilities" if last else f"active{index}"
        nodes.append(helper.make_node("Softmax" if last else "Relu", [sum_], [value]))
    classes = len(layers[-1][1])
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["N", *row_shape])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", classes])],
        weights,
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9, producer_name="aiapp examples"
    )
    onnx.checker.check_model(model)
    return model


def top(probabilities, labels, count=5):
    """The likeliest classes as the server answers them: [[label, percent], …]."""
    order = np.argsort(-probabilities, kind="stable")[:count]
    return [[labels[i], round(float(probabilities[i]) * 100, 4)] for i in order]


def write(folder: Path, model, labels, samples, preprocessing=None):
    """Writes a bundle; `aiapp publish` adds the manifest."""
    (folder / "samples").mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    (folder / "labels.txt").write_text("".join(f"{label}\n" for label in labels))
    if preprocessing is not None:
        (folder / "preprocessing.json").write_text(json.dumps(preprocessing, indent=2) + "\n")
    for name, request, expected in samples:
        sample = {"request": request, "expected": expected, "tolerance": 0.01}
        (folder / "samples" / f"{name}.json").write_text(json.dumps(sample) + "\n")
