"""Trains two versions of a classifier of handwritten digits on scikit-learn's own data set, and exports both.

    python3 -m venv venv && venv/bin/pip install -r examples/requirements.txt
    venv/bin/python examples/digits/train.py

Version 1 is a logistic regression of three hundred pictures; version 2 a small neural network of all training pictures.
Both are measured on the same held-out pictures, as the server would see them: PNGs of 8 × 8 grey pixels.
"""

import base64
import io
import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

here = Path(__file__).parent
sys.path.insert(0, str(here.parent))
from bundle import network, top, write  # noqa: E402

LABELS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
PREPROCESSING = {
    "width": 8,
    "height": 8,
    "fit": "fill",
    "kernel": "nearest",
    "channels": "grey",
    "layout": "NCHW",
    "mean": [0],
    "scale": [255],
}


def png(pixels, size=8):
    """A PNG of one picture, each pixel drawn as a square."""
    picture = Image.fromarray(pixels, "L").resize((size, size), Image.Resampling.NEAREST)
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True)
    return file.getvalue()


def main():
    digits = load_digits()
    pixels = np.round(digits.images / 16 * 255).astype(np.uint8)
    inputs = (pixels.astype(np.float32) / 255).reshape(len(pixels), 64)
    train, test = train_test_split(
        np.arange(len(pixels)), test_size=0.2, random_state=7, stratify=digits.target
    )
    few = train[:300]
    simple = LogisticRegression(max_iter=2000, C=0.1).fit(inputs[few], digits.target[few])
    better = MLPClassifier((64, 32), max_iter=600, random_state=7, alpha=1e-3).fit(
        inputs[train], digits.target[train]
    )
    versions = {
        "1": [(simple.coef_.T, simple.intercept_)],
        "2": list(zip(better.coefs_, better.intercepts_)),
    }
    figures, winners = {}, {}
    for version, layers in versions.items():
        model = network(f"digits-{version}", layers, (1, 8, 8))
        session = onnxruntime.InferenceSession(model.SerializeToString())
        scored = session.run(None, {"input": inputs[test].reshape(-1, 1, 8, 8)})[0]
        winners[version] = scored.argmax(axis=1)
        right = int((scored.argmax(axis=1) == digits.target[test]).sum())
        figures[version] = {"right": right, "of": len(test), "accuracy": round(right / len(test), 4)}
        print(f"version {version}: {right} of {len(test)} held-out pictures right, {right / len(test):.2%}")
        samples = []
        for index in (0, 1):
            picture = base64.b64encode(png(pixels[test[index]])).decode()
            samples.append((f"{index + 1}", {"input": [picture]}, [top(scored[index], LABELS)]))
        write(here / "models" / version, model, LABELS, samples, PREPROCESSING)

    held_out = [
        {"label": LABELS[digits.target[i]], "png": base64.b64encode(png(pixels[i])).decode()} for i in test
    ]
    (here / "held-out.json").write_text("[\n" + ",\n".join(json.dumps(one) for one in held_out) + "\n]\n")
    pictures = here / "pictures"
    pictures.mkdir(exist_ok=True)
    for digit in range(10):
        # One that both versions know.
        row, index = next(
            (row, i)
            for row, i in enumerate(test)
            if all(digits.target[i] == digit == winners[version][row] for version in versions)
        )
        (pictures / f"{digit}.png").write_bytes(png(pixels[index], 128))
    # And one that the versions score differently: only version 2 is right.
    row, index = next(
        (row, i) for row, i in enumerate(test) if winners["1"][row] != digits.target[i] == winners["2"][row]
    )
    (pictures / "hard.png").write_bytes(png(pixels[index], 128))
    for version in versions:
        figures[version]["hard"] = LABELS[winners[version][row]]
    (here / "figures.json").write_text(json.dumps(figures, indent=2) + "\n")


main()
