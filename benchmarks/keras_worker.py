"""Keras 2.2.4 training its convolutional example, on orders: `python -m benchmarks.keras_worker BACKEND DIGITS`.

BACKEND is `tfgraph` or `tensorflow`. DIGITS is a .npz file with the arrays x (n, 28, 28) and y (n,). Says first how long
importing Keras and building the net took; each order trains one epoch or evaluates the held-out digits.
"""

from __future__ import annotations

import argparse
import importlib
import os
import time
from typing import Any

import numpy as np

from .machine import confine, forget_peak_memory, peak_memory_mb
from .workers import serve, take_output

BATCH = 128  # of Keras' example
HELD_OUT = 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("backend", choices=("tfgraph", "tensorflow"))
    parser.add_argument("digits")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    answers = take_output()
    confine(options.threads)
    os.environ["OMP_NUM_THREADS"] = str(options.threads)  # what Keras' backend makes its session of

    start = time.perf_counter()
    _install(options.backend)
    keras: Any = importlib.import_module("keras")
    imported = time.perf_counter()
    with np.load(options.digits) as file:
        x, y = file["x"][..., None].astype(np.float32) / 255, keras.utils.to_categorical(file["y"], 10)
    training, held_out = (x[HELD_OUT:], y[HELD_OUT:]), (x[:HELD_OUT], y[:HELD_OUT])
    forget_peak_memory()
    build = time.perf_counter()
    np.random.seed(1)
    model = _model(keras)
    built = time.perf_counter()

    def epoch() -> dict[str, Any]:
        begin = time.perf_counter()
        history = model.fit(*training, batch_size=BATCH, epochs=1, verbose=0).history
        return {"seconds": time.perf_counter() - begin, "loss": float(history["loss"][0])}

    def evaluate() -> dict[str, Any]:
        begin = time.perf_counter()
        loss, accuracy = model.evaluate(*held_out, batch_size=BATCH, verbose=0)
        return {"seconds": time.perf_counter() - begin, "loss": float(loss), "accuracy": float(accuracy)}

    def end() -> dict[str, Any]:
        return {"peak_mb": peak_memory_mb()}

    ready = {
        "keras": keras.__version__,
        "digits": len(x),
        "import": imported - start,
        "build": built - build,
    }
    serve(answers, ready, {"epoch": epoch, "evaluate": evaluate, "end": end})


def _install(backend: str) -> None:
    """Make `import tensorflow` give the backend, and Python what Keras 2 expects of it."""
    from tfgraph.aliases import era, modules

    if backend == "tfgraph":
        modules.install()
    else:
        from . import as_tensorflow_1

        as_tensorflow_1.install()
    era.install()


def _model(keras: Any) -> Any:
    """Two convolutions, pooling, dropout, two dense layers, Adadelta: Keras' `mnist_cnn`."""
    layers = keras.layers
    model = keras.models.Sequential([
        layers.Conv2D(32, kernel_size=(3, 3), activation="relu", input_shape=(28, 28, 1)),
        layers.Conv2D(64, (3, 3), activation="relu"),
        layers.MaxPooling2D(pool_size=(2, 2)),
        layers.Dropout(0.25),
        layers.Flatten(),
        layers.Dense(128, activation="relu"),
        layers.Dropout(0.5),
        layers.Dense(10, activation="softmax"),
    ])  # fmt: skip
    model.compile(loss=keras.losses.categorical_crossentropy, optimizer=keras.optimizers.Adadelta(), metrics=["accuracy"])
    return model


if __name__ == "__main__":
    main()
