"""FastAPI behind uvicorn. The model runs in the event loop: a thread for each request costs more than the model takes."""

import orjson
from fastapi import FastAPI, Request, Response

from onnx_session import Scorer

app = FastAPI()
scorer = Scorer()


@app.get("/ready")
async def ready():
    return "ready"


@app.post("/json")
async def score_json(request: Request):
    output = scorer(orjson.loads(await request.body())["input"])
    body = orjson.dumps({"output": output}, option=orjson.OPT_SERIALIZE_NUMPY)
    return Response(body, media_type="application/json")


@app.post("/raw")
async def score_raw(request: Request):
    return Response(
        scorer.of_bytes(await request.body()), media_type="application/octet-stream"
    )
