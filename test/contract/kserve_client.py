"""Makes every call of KServe's own clients that a server of one model can answer, and prints what came as one JSON object."""

import asyncio
import json
import logging
import sys

import grpc
import httpx
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest, RESTConfig
from kserve.protocol.infer_type import RequestedOutput

from every_datatype import MODEL, VALUES, VERSION, finite, same

# The model behind the last one takes no halves, for which gRPC has no typed contents.
HTTP, GRPC, GRPC_WITHOUT_HALVES = sys.argv[1:]

# It logs each error that a call raises.
logging.disable(logging.CRITICAL)


def input_of(name, raw):
    datatype, array = VALUES[name]
    tensor = InferInput(f"in_{name}", list(array.shape), datatype)
    tensor.set_data_from_numpy(array if raw else finite(array), binary_data=raw)
    return tensor


def request_of(names=VALUES, raw=True, outputs=None, **options):
    """@param outputs: the parameters of each output, which are requested where they are given"""
    return InferRequest(
        model_name=MODEL,
        # The client sends no halves as JSON.
        infer_inputs=[input_of(name, raw or VALUES[name][0] == "FP16") for name in names],
        request_outputs=outputs and [RequestedOutput(f"out_{name}", outputs) for name in names],
        **options,
    )


def check(response, as_sent=lambda array: array, names=VALUES):
    return same(
        lambda name: response.get_output_by_name(f"out_{name}").as_numpy(), as_sent, names
    )


async def http_error_of(call):
    try:
        await call
        return "no error"
    except httpx.HTTPStatusError as error:
        answer = error.response
        return {"status": answer.status_code, **answer.json(), "shown": str(error)}


async def over_http():
    async with InferenceRESTClient(RESTConfig(protocol="v2", retries=0)) as client:

        async def infer(**options):
            """Which tensors came back, and whether they came as raw bytes."""
            headers = {}
            response = await client.infer(
                HTTP, request_of(**options), model_name=MODEL, response_headers=headers
            )
            as_sent = finite if options.get("raw") is False else lambda array: array
            return {
                "isRaw": "inference-header-content-length" in headers,
                "same": check(response, as_sent),
                "id": response.id,
                "version": headers["aiapp-model-version"],
            }

        return {
            "live": await client.is_server_live(HTTP),
            "ready": await client.is_server_ready(HTTP),
            "modelReady": await client.is_model_ready(HTTP, MODEL),
            "otherReady": await client.is_model_ready(HTTP, "other"),
            "json": await infer(raw=False, request_id="17"),
            "rawInputs": await infer(),
            "rawOutputs": await infer(raw=False, outputs={"binary_data": True}),
            "allRaw": await infer(parameters={"binary_data_output": True}),
            "many": await asyncio.gather(*[infer() for _ in range(8)]),
            "otherModel": await http_error_of(client.infer(HTTP, request_of(), "other")),
            "missing": await http_error_of(
                client.infer(HTTP, request_of(list(VALUES)[:-1]), MODEL)
            ),
        }


async def grpc_error_of(call):
    try:
        await call
        return "no error"
    except grpc.RpcError as error:
        return {"status": str(error.code()), "message": error.details()}


async def over_grpc():
    async with InferenceGRPCClient(GRPC, retries=0) as client:
        named = await client.infer(request_of(request_id="17"))
        many = [client.infer(request_of()) for _ in range(8)]
        return {
            "live": await client.is_server_live(),
            "ready": await client.is_server_ready(),
            "modelReady": await client.is_model_ready(MODEL),
            "id": named.id,
            "version": named.model_version,
            "raw": check(named),
            "outputs": check(await client.infer(request_of(outputs={"binary_data": True}))),
            "ofVersion": check(await client.infer(request_of(model_version=VERSION))),
            "contents": await contents(),
            "many": [check(one) for one in await asyncio.gather(*many)],
            "otherModel": await grpc_error_of(client.is_model_ready("other")),
            "missing": await grpc_error_of(client.infer(request_of(list(VALUES)[:-1]))),
        }


async def contents():
    """Which tensors came back that were sent in the typed fields of the protocol."""
    names = [name for name in VALUES if VALUES[name][0] != "FP16"]
    async with InferenceGRPCClient(GRPC_WITHOUT_HALVES, retries=0) as client:
        return check(await client.infer(request_of(names, raw=False)), finite, names)


async def main():
    print(json.dumps({"http": await over_http(), "grpc": await over_grpc()}))


asyncio.run(main())
