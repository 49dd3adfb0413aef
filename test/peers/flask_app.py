"""Flask, as tutorials serve models: behind gunicorn."""

from flask import Flask, Response, jsonify, request

from onnx_session import Scorer

app = Flask(__name__)
scorer = Scorer()


@app.get("/ready")
def ready():
    return "ready"


@app.post("/json")
def score_json():
    return jsonify({"output": scorer(request.get_json()["input"]).tolist()})


@app.post("/raw")
def score_raw():
    return Response(scorer.of_bytes(request.get_data()), mimetype="application/octet-stream")
