"""Makes every call of tritonclient that a server of one model can answer, and prints what came as one JSON object."""

import asyncio
import json
import sys

import tritonclient.grpc as triton_grpc
import tritonclient.grpc.aio as triton_grpc_aio
import tritonclient.http as triton_http
import tritonclient.http.aio as triton_http_aio
from tritonclient.utils import InferenceServerException

from every_datatype import MODEL, VALUES, VERSION, finite, rows_of, same

HTTP, GRPC = sys.argv[1], sys.argv[2]


def error_of(call):
    try:
        call()
        return "no error"
    except InferenceServerException as error:
        return {"status": error.status(), "message": error.message()}


def inputs_for(module, binary=True):
    inputs = []
    for name, (datatype, array) in VALUES.items():
        tensor = module.InferInput(f"in_{name}", list(array.shape), datatype)
        if module in (triton_http, triton_http_aio):
            # The client sends no halves as JSON.
            raw = binary or datatype == "FP16"
            tensor.set_data_from_numpy(array if raw else finite(array), binary_data=raw)
        else:
            tensor.set_data_from_numpy(array)
        inputs.append(tensor)
    return inputs


def outputs_for(module, binary=True):
    if module in (triton_http, triton_http_aio):
        return [module.InferRequestedOutput(f"out_{name}", binary_data=binary) for name in VALUES]
    return [module.InferRequestedOutput(f"out_{name}") for name in VALUES]


def check(result, as_sent=lambda array: array):
    return same(lambda name: result.as_numpy(f"out_{name}"), as_sent)


def over_http():
    client = triton_http.InferenceServerClient(HTTP, concurrency=4)
    found = {
        "live": client.is_server_live(),
        "ready": client.is_server_ready(),
        "modelReady": client.is_model_ready(MODEL),
        "versionReady": client.is_model_ready(MODEL, VERSION),
        "otherReady": client.is_model_ready("other"),
        "server": client.get_server_metadata(),
        "model": client.get_model_metadata(MODEL, VERSION),
        "config": client.get_model_config(MODEL, VERSION),
        "index": client.get_model_repository_index(),
        "load": error_of(lambda: client.load_model(MODEL)),
        "unload": error_of(lambda: client.unload_model(MODEL)),
        "otherModel": error_of(lambda: client.get_model_metadata("other")),
    }
    binary = client.infer(MODEL, inputs_for(triton_http), request_id="17")
    found["id"] = binary.get_response()["id"]
    found["version"] = binary.get_response()["model_version"]
    found["binary"] = check(binary)
    found["json"] = check(
        client.infer(
            MODEL, inputs_for(triton_http, False), outputs=outputs_for(triton_http, False)
        ),
        finite,
    )
    found["mixed"] = check(
        client.infer(MODEL, inputs_for(triton_http), outputs=outputs_for(triton_http, False))
    )
    for algorithm in ("gzip", "deflate"):
        found[algorithm] = check(
            client.infer(
                MODEL,
                inputs_for(triton_http),
                request_compression_algorithm=algorithm,
                response_compression_algorithm=algorithm,
            )
        )
    found["async"] = check(client.async_infer(MODEL, inputs_for(triton_http)).get_result())
    found["classes"] = classes_of(client, triton_http)
    short = inputs_for(triton_http)[:-1]
    found["missing"] = error_of(lambda: client.infer(MODEL, short))
    found["sequence"] = error_of(
        lambda: client.infer(MODEL, inputs_for(triton_http), sequence_id=3)
    )
    found["statistics"] = client.get_inference_statistics(MODEL, VERSION)
    found["allStatistics"] = client.get_inference_statistics()
    client.close()
    return found


def classes_of(client, module):
    output = module.InferRequestedOutput("out_int32", class_count=1)
    result = client.infer(MODEL, inputs_for(module), outputs=[output])
    return [row[0] for row in rows_of(result.as_numpy("out_int32"))]


async def over_http_aio():
    async with triton_http_aio.InferenceServerClient(HTTP) as client:
        many = [client.infer(MODEL, inputs_for(triton_http_aio)) for _ in range(8)]
        packed = await client.infer(
            MODEL,
            inputs_for(triton_http_aio),
            request_compression_algorithm="gzip",
            response_compression_algorithm="gzip",
        )
        return {
            "ready": await client.is_model_ready(MODEL),
            "server": await client.get_server_metadata(),
            "many": [check(result) for result in await asyncio.gather(*many)],
            "gzip": check(packed),
        }


def over_grpc():
    client = triton_grpc.InferenceServerClient(GRPC)
    found = {
        "live": client.is_server_live(),
        "ready": client.is_server_ready(),
        "modelReady": client.is_model_ready(MODEL),
        "versionReady": client.is_model_ready(MODEL, VERSION),
        "server": client.get_server_metadata(as_json=True),
        "model": client.get_model_metadata(MODEL, VERSION, as_json=True),
        "config": client.get_model_config(MODEL, VERSION, as_json=True),
        "index": client.get_model_repository_index(as_json=True),
        "load": error_of(lambda: client.load_model(MODEL)),
        "otherModel": error_of(lambda: client.get_model_metadata("other")),
    }
    result = client.infer(MODEL, inputs_for(triton_grpc), request_id="17")
    found["id"] = result.get_response().id
    found["version"] = result.get_response().model_version
    found["raw"] = check(result)
    found["outputs"] = check(
        client.infer(MODEL, inputs_for(triton_grpc), outputs=outputs_for(triton_grpc))
    )
    for algorithm in ("gzip", "deflate"):
        found[algorithm] = check(
            client.infer(MODEL, inputs_for(triton_grpc), compression_algorithm=algorithm)
        )
    found["contents"] = contents_of(client)
    found["classes"] = classes_of(client, triton_grpc)
    short = inputs_for(triton_grpc)[:-1]
    found["missing"] = error_of(lambda: client.infer(MODEL, short))
    found["sequence"] = error_of(
        lambda: client.infer(MODEL, inputs_for(triton_grpc), sequence_id=3)
    )
    answers = []
    client.start_stream(callback=lambda result, error: answers.append((result, error)))
    client.async_stream_infer(MODEL, inputs_for(triton_grpc), request_id="1")
    client.async_stream_infer(MODEL, short, request_id="2")
    client.async_stream_infer(MODEL, inputs_for(triton_grpc), request_id="3")
    client.stop_stream()
    found["stream"] = [
        error.message() if error is not None else [result.get_response().id, check(result)]
        for result, error in answers
    ]
    found["statistics"] = client.get_inference_statistics(MODEL, VERSION, as_json=True)
    client.close()
    return found


def contents_of(client):
    """Values in the typed fields of the protocol, which the client itself never sends."""
    from tritonclient.grpc import service_pb2

    fields = {
        "BOOL": "bool_contents",
        "UINT64": "uint64_contents",
        "INT64": "int64_contents",
        "FP32": "fp32_contents",
        "FP64": "fp64_contents",
        "BYTES": "bytes_contents",
    }
    request = service_pb2.ModelInferRequest(model_name=MODEL)
    for name, (datatype, array) in VALUES.items():
        tensor = request.inputs.add(name=f"in_{name}", datatype=datatype, shape=array.shape)
        if datatype == "FP16":
            # It has no field of its own: the request as a whole is refused.
            continue
        signed = "uint_contents" if datatype.startswith("U") else "int_contents"
        values = array.flatten().tolist()
        if datatype == "BYTES":
            values = [value.encode() for value in values]
        getattr(tensor.contents, fields.get(datatype, signed)).extend(values)
    try:
        client._client_stub.ModelInfer(request)
        return "no error"
    except Exception as error:
        return error.details()


async def over_grpc_aio():
    async with triton_grpc_aio.InferenceServerClient(GRPC) as client:
        many = [client.infer(MODEL, inputs_for(triton_grpc_aio)) for _ in range(8)]
        return {
            "ready": await client.is_model_ready(MODEL),
            "many": [check(result) for result in await asyncio.gather(*many)],
        }


print(
    json.dumps(
        {
            "http": over_http(),
            "httpAio": asyncio.run(over_http_aio()),
            "grpc": over_grpc(),
            "grpcAio": asyncio.run(over_grpc_aio()),
        }
    )
)
