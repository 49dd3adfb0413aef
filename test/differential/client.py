"""Makes each call of tritonclient that a server of the model `add` may answer, and prints those that it answered right.

One JSON object: the name of each call, and whether it did what it is for.
"""

import json
import os
import sys
import threading

import numpy as np
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton_http

HTTP, GRPC = sys.argv[1], sys.argv[2]
MODEL, VERSION = "add", "1"
TIMEOUT_S = 5

A = np.array([[1, 2, 3]], dtype=np.float32)
B = np.array([[10, 20, 30]], dtype=np.float32)


def inputs(module, rows=1, **how):
    tensors = []
    for name, array in (("a", A[:rows]), ("b", B[:rows])):
        tensor = module.InferInput(name, list(array.shape), "FP32")
        tensor.set_data_from_numpy(array, **how)
        tensors.append(tensor)
    return tensors


def added(result):
    return bool((result.as_numpy("sum") == A + B).all() and (result.as_numpy("copy") == A).all())


def without_rows(client, module, **how):
    result = client.infer(MODEL, inputs(module, rows=0, **how))
    return result.as_numpy("sum").shape == (0, 3)


def classified(client, module, **how):
    output = module.InferRequestedOutput("sum", class_count=2)
    result = client.infer(MODEL, inputs(module, **how), outputs=[output])
    return result.as_numpy("sum").flatten().tolist() == [b"33.000000:2", b"22.000000:1"] or (
        result.as_numpy("sum").flatten().tolist() == [b"33:2", b"22:1"]
    )


def either(call):
    """Whether it does so with raw inputs or with those in JSON: some servers know only one of them."""
    for binary_data in (True, False):
        try:
            if call(binary_data=binary_data):
                return True
        except Exception:
            continue
    return False


def rejected(client, module, **how):
    """A missing input is the client's mistake, not the server's."""
    try:
        client.infer(MODEL, inputs(module, **how)[:1])
    except Exception as error:
        return error.status() in ("400", "StatusCode.INVALID_ARGUMENT")
    return False


def http_calls():
    client = triton_http.InferenceServerClient(
        HTTP, connection_timeout=TIMEOUT_S, network_timeout=TIMEOUT_S
    )
    json_outputs = [
        triton_http.InferRequestedOutput(name, binary_data=False) for name in ("sum", "copy")
    ]

    def infer(binary_data, **options):
        outputs = None if binary_data else json_outputs
        return client.infer(
            MODEL, inputs(triton_http, binary_data=binary_data), outputs=outputs, **options
        )

    def packed(algorithm):
        return client.infer(
            MODEL,
            inputs(triton_http),
            request_compression_algorithm=algorithm,
            response_compression_algorithm=algorithm,
        )

    return {
        "is_server_live": client.is_server_live,
        "is_server_ready": client.is_server_ready,
        "is_model_ready": lambda: client.is_model_ready(MODEL),
        "is_model_ready of a version": lambda: client.is_model_ready(MODEL, VERSION),
        "get_server_metadata": lambda: client.get_server_metadata()["name"] != "",
        "get_model_metadata": lambda: client.get_model_metadata(MODEL)["name"] == MODEL,
        "get_model_config": lambda: client.get_model_config(MODEL)["name"] == MODEL,
        "get_model_repository_index": lambda: len(client.get_model_repository_index()) > 0,
        "get_inference_statistics": lambda: (
            client.get_inference_statistics(MODEL)["model_stats"][0]["name"] == MODEL
        ),
        "infer, raw (the default)": lambda: added(infer(binary_data=True)),
        "infer, JSON": lambda: added(infer(binary_data=False)),
        "infer, raw inputs and JSON outputs": lambda: added(
            client.infer(MODEL, inputs(triton_http), outputs=json_outputs)
        ),
        "infer with an id": lambda: either(
            lambda **how: infer(request_id="17", **how).get_response()["id"] == "17"
        ),
        "infer of a version": lambda: either(
            lambda **how: added(infer(model_version=VERSION, **how))
        ),
        "infer of no rows": lambda: either(
            lambda **how: without_rows(client, triton_http, **how)
        ),
        "infer, gzip": lambda: added(packed("gzip")),
        "infer, deflate": lambda: added(packed("deflate")),
        "async_infer": lambda: added(client.async_infer(MODEL, inputs(triton_http)).get_result()),
        "infer with class_count": lambda: either(
            lambda **how: classified(client, triton_http, **how)
        ),
        "infer without an input is a 400": lambda: either(
            lambda **how: rejected(client, triton_http, **how)
        ),
    }


def grpc_calls():
    client = triton_grpc.InferenceServerClient(GRPC)

    def infer(*more, **options):
        return client.infer(MODEL, inputs(triton_grpc), *more, client_timeout=TIMEOUT_S, **options)

    def streamed():
        answers = []
        client.start_stream(
            callback=lambda result, error: answers.append(error is None and added(result))
        )
        client.async_stream_infer(MODEL, inputs(triton_grpc))
        client.stop_stream()
        return answers == [True]

    return {
        "is_server_live": client.is_server_live,
        "is_server_ready": client.is_server_ready,
        "is_model_ready": lambda: client.is_model_ready(MODEL),
        "is_model_ready of a version": lambda: client.is_model_ready(MODEL, VERSION),
        "get_server_metadata": lambda: client.get_server_metadata().name != "",
        "get_model_metadata": lambda: client.get_model_metadata(MODEL).name == MODEL,
        "get_model_config": lambda: client.get_model_config(MODEL).config.name == MODEL,
        "get_model_repository_index": lambda: len(client.get_model_repository_index().models) > 0,
        "get_inference_statistics": lambda: (
            client.get_inference_statistics(MODEL).model_stats[0].name == MODEL
        ),
        "infer": lambda: added(infer()),
        "infer with an id": lambda: infer(request_id="17").get_response().id == "17",
        "infer of a version": lambda: added(infer(VERSION)),
        "infer of no rows": lambda: without_rows(client, triton_grpc),
        "infer, gzip": lambda: added(infer(compression_algorithm="gzip")),
        "infer, deflate": lambda: added(infer(compression_algorithm="deflate")),
        "async_stream_infer": streamed,
        "infer with class_count": lambda: classified(client, triton_grpc),
        "infer without an input is INVALID_ARGUMENT": lambda: rejected(client, triton_grpc),
    }


def outcome(calls, name):
    """Whether a call, made by a client and in a thread of its own, did it: some never end on a server that rejects them."""
    done = []

    def run():
        try:
            done.append(bool(calls()[name]()))
        except Exception:
            done.append(False)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(TIMEOUT_S)
    return done == [True]


print(
    json.dumps(
        {
            kind: {name: outcome(calls, name) for name in calls()}
            for kind, calls in (("HTTP", http_calls), ("gRPC", grpc_calls))
        }
    ),
    flush=True,
)
# Not waiting for threads that do not end.
os._exit(0)
