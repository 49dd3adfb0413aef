"""Trains a classifier of iris flowers on scikit-learn's own data set: a model whose input is a plain tensor.

    venv/bin/python examples/iris/train.py

The input is [N, 4]: sepal length and width, petal length and width, in centimetres.
"""

import sys
from pathlib import Path

import numpy as np
import onnxruntime
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

here = Path(__file__).parent
sys.path.insert(0, str(here.parent))
from bundle import network, top, write  # noqa: E402


def main():
    iris = load_iris()
    labels = [str(name) for name in iris.target_names]
    inputs = iris.data.astype(np.float32)
    train, test = train_test_split(
        np.arange(len(inputs)), test_size=0.3, random_state=7, stratify=iris.target
    )
    trained = LogisticRegression(max_iter=1000).fit(inputs[train], iris.target[train])
    model = network("iris", [(trained.coef_.T, trained.intercept_)], (4,))
    session = onnxruntime.InferenceSession(model.SerializeToString())
    scored = session.run(None, {"input": inputs[test]})[0]
    right = int((scored.argmax(axis=1) == iris.target[test]).sum())
    print(f"version 1.0.0: {right} of {len(test)} held-out flowers right, {right / len(test):.2%}")
    rows = [[round(float(value), 1) for value in inputs[i]] for i in test[:2]]
    expected = [top(scored[i], labels) for i in (0, 1)]
    write(here / "models" / "1.0.0", model, labels, [("1", {"input": rows}, expected)])


main()
