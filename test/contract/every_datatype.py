"""Values for the model of `every-datatype.ts`, which gives back an input of each datatype."""

import numpy as np

MODEL, VERSION = "every", "7"

FLOATS = np.array([[1.5, float("nan")], [float("inf"), float("-inf")]])
# The clients have no JSON for what is not finite.
FINITE = np.array([[1.5, -0.25], [1e10, 0.1]])
VALUES = {
    "bool": ("BOOL", np.array([[True, False], [False, True]])),
    "uint8": ("UINT8", np.array([[0, 255], [1, 2]], dtype=np.uint8)),
    "uint16": ("UINT16", np.array([[0, 65535], [1, 2]], dtype=np.uint16)),
    "uint32": ("UINT32", np.array([[0, 2**32 - 1], [1, 2]], dtype=np.uint32)),
    "uint64": ("UINT64", np.array([[0, 2**64 - 1], [1, 2]], dtype=np.uint64)),
    "int8": ("INT8", np.array([[-128, 127], [1, 2]], dtype=np.int8)),
    "int16": ("INT16", np.array([[-32768, 32767], [1, 2]], dtype=np.int16)),
    "int32": ("INT32", np.array([[-(2**31), 2**31 - 1], [1, 2]], dtype=np.int32)),
    "int64": ("INT64", np.array([[-(2**63), 2**63 - 1], [1, 2**53 + 1]], dtype=np.int64)),
    "half": ("FP16", FLOATS.astype(np.float16)),
    "float": ("FP32", FLOATS.astype(np.float32)),
    "double": ("FP64", FLOATS),
    "string": ("BYTES", np.array([["a", "grün"], ["", "日本"]], dtype=np.object_)),
}


def rows_of(array):
    """Values as text, so that no reader of JSON changes them."""
    return [[one.decode() if isinstance(one, bytes) else str(one) for one in row] for row in array]


def finite(array):
    return FINITE.astype(array.dtype) if array.dtype in (np.float32, np.float64) else array


def same(output_of, as_sent=lambda array: array, names=VALUES):
    """Which tensors came back as they were sent."""
    return {
        name: rows_of(output_of(name)) == rows_of(as_sent(VALUES[name][1])) for name in names
    }
