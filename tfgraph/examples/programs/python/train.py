"""Trains the exported MNIST net from Python's ctypes, without tfgraph or NumPy, and prints every loss.

python train.py ../../libmnist.so DATA 20      # DATA: a folder with MNIST's unpacked IDX files; 20 steps
"""

import ctypes
import sys
from pathlib import Path
from typing import Any

PIXELS, BATCH = 28 * 28, 32
POINTER, INT, FLOAT = ctypes.c_void_p, ctypes.c_int64, ctypes.c_float


def load(path: str) -> ctypes.CDLL:
    """The library, with the types of its functions and an exception for every error."""
    library = ctypes.CDLL(str(Path(path).resolve()))
    library.mnist_error_string.restype = ctypes.c_char_p
    library.mnist_create.restype = POINTER
    library.mnist_destroy.argtypes = [POINTER]
    library.mnist_destroy.restype = None

    def check(status: int, *_: object) -> None:
        if status:
            raise RuntimeError(library.mnist_error_string(status).decode())

    signatures: list[tuple[Any, list[Any]]] = [
        (library.mnist_initialize, [POINTER, ctypes.c_uint64]),
        (library.mnist_train_step, [POINTER, INT, ctypes.c_char_p, ctypes.c_char_p, FLOAT, FLOAT, POINTER]),
        (library.mnist_predict, [POINTER, INT, ctypes.c_char_p, POINTER, POINTER]),
    ]
    for function, arguments in signatures:
        function.argtypes = arguments
        function.restype = check  # called with what the function returns
    return library


def main(library_path: str, data: str, steps: str) -> None:
    library = load(library_path)
    images = (Path(data) / "train-images-idx3-ubyte").read_bytes()[16:]
    labels = (Path(data) / "train-labels-idx1-ubyte").read_bytes()[8:]
    model = library.mnist_create()
    library.mnist_initialize(model, 1)
    loss = FLOAT()
    for step in range(int(steps)):
        first = step % (len(labels) // BATCH) * BATCH
        x, y = images[first * PIXELS : (first + BATCH) * PIXELS], labels[first : first + BATCH]
        library.mnist_train_step(model, BATCH, x, y, 1e-3, 0.75, ctypes.byref(loss))
        print(f"{loss.value:.9g}")
    guesses, probabilities = (ctypes.c_int32 * BATCH)(), (FLOAT * (BATCH * 10))()
    library.mnist_predict(model, BATCH, images[: BATCH * PIXELS], guesses, probabilities)
    print(f"{sum(map(int.__eq__, guesses, labels))} of {BATCH} right")
    library.mnist_destroy(model)


if __name__ == "__main__":
    main(*sys.argv[1:])
