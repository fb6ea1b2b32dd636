"""The exported library and its C program in one build with AddressSanitizer, UndefinedBehaviorSanitizer, ThreadSanitizer."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests import _exported
from tests._exported import PROGRAMS, run

GCC = shutil.which("gcc")
SANITIZERS = {
    "address": ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"],
    "thread": ["-fsanitize=thread"],
}
LIBRARIES = {"address": "libasan.so", "thread": "libtsan.so"}
# before 13.3 gcc takes the stack that this check makes for aligned to the longest vectors, which it is not (its bug 110027)
_VERSION = subprocess.run([GCC, "-dumpfullversion"], capture_output=True, text=True).stdout if GCC else ""
_CHECKS_RETURNS = [int(part) for part in _VERSION.strip().split(".") if part.isdigit()] >= [13, 3]
SETTINGS = {
    **os.environ,
    "ASAN_OPTIONS": f"detect_stack_use_after_return={int(_CHECKS_RETURNS)}",
    "TSAN_OPTIONS": "halt_on_error=1:second_deadlock_stack=1",
}

# Instances in threads of their own: some in memory of their own, some in the caller's, each with a crew of two.
INSTANCES = """
#include "mnist.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS = 4, STEPS = 4, BATCH = 9, PIXELS = 784 };

typedef struct {
    int number;
    mnist *shared;
    float losses[STEPS];
} task;

static uint8_t images[BATCH * PIXELS], labels[BATCH];

static void *work(void *argument)
{
    task *mine = argument;
    const int64_t bytes = mnist_instance_bytes() + mnist_arena_bytes(BATCH);
    void *memory = mine->number % 2 ? aligned_alloc(64, (size_t)(bytes + 63) / 64 * 64) : NULL;
    mnist *own = NULL;
    if (memory ? mnist_create_in(&own, memory, bytes, BATCH) : !(own = mnist_create()))
        exit(2);
    mnist *model = mine->shared ? mine->shared : own;
    if (mnist_set_threads(model, mine->shared ? 1 : 2) || mnist_initialize(model, 5))
        exit(3);
    for (int step = 0; step < STEPS; ++step) {
        if (mnist_train_step(model, BATCH - step, images, labels, 1e-3f, 0.75f, &mine->losses[step]))
            exit(4);
    }
    mnist_destroy(own);
    free(memory);
    return NULL;
}

int main(int count, char **arguments)
{
    pthread_t threads[THREADS];
    static task tasks[THREADS];
    mnist *shared = count > 1 && !strcmp(arguments[1], "shared") ? mnist_create() : NULL;
    for (int i = 0; i < BATCH * PIXELS; ++i)
        images[i] = (uint8_t)(i * 7 % 251);
    for (int i = 0; i < BATCH; ++i)
        labels[i] = (uint8_t)(i % 10);
    for (int i = 0; i < THREADS; ++i) {
        tasks[i].number = i;
        tasks[i].shared = shared;
        if (pthread_create(&threads[i], NULL, work, &tasks[i]))
            return 5;
    }
    int differing = 0;
    for (int i = 0; i < THREADS; ++i) {
        pthread_join(threads[i], NULL);
        differing += memcmp(tasks[i].losses, tasks[0].losses, sizeof tasks[0].losses) != 0;
    }
    mnist_destroy(shared);
    puts(differing ? "different losses" : "the same losses");
    return 0;
}
"""

# An array that is one digit shorter than the batch.
SHORT = """
#include "mnist.h"
#include <stdlib.h>

int main(void)
{
    uint8_t *images = calloc(7, 784), *labels = calloc(8, 1);
    float loss;
    mnist *model = mnist_create();
    int status = mnist_initialize(model, 1);
    status |= mnist_train_step(model, 8, images, labels, 1e-3f, 1.0f, &loss);
    mnist_destroy(model);
    free(images);
    free(labels);
    return status;
}
"""


def lacks(name: str) -> bool:
    """Whether gcc or its library of a sanitizer is not here."""
    if GCC is None:
        return True
    found = subprocess.run([GCC, f"-print-file-name={LIBRARIES[name]}"], capture_output=True, text=True).stdout.strip()
    return not os.path.isabs(found) or not os.path.exists(found)


pytestmark = [
    pytest.mark.xdist_group(_exported.GROUP),
    pytest.mark.skipif(any(map(lacks, SANITIZERS)), reason="needs gcc with its libasan, libubsan and libtsan"),
]
_KEPT = tempfile.TemporaryDirectory(prefix="tfgraph-sanitized-")


@functools.cache
def library_object(sanitizer: str) -> Path:
    """The library's one source file, compiled for this machine's processor alone."""
    path = Path(_KEPT.name) / f"{sanitizer}.o"
    library = _exported.library()
    run([str(GCC), "-O1", "-g1", "-march=native", *SANITIZERS[sanitizer], "-c", library / "mnist.c", "-o", path], library)
    return path


def program(folder: Path, sanitizer: str, *sources: Path) -> Path:
    path = folder / f"{sanitizer}.out"
    flags = ["-O1", "-g1", *SANITIZERS[sanitizer], f"-I{_exported.library()}", f"-I{PROGRAMS / 'c'}"]
    run([str(GCC), *flags, *sources, library_object(sanitizer), "-lm", "-pthread", "-o", path], folder)
    return path


def written(folder: Path, text: str) -> Path:
    path = folder / "main.c"
    path.write_text(text)
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _exported.write_few(tmp_path_factory.mktemp("data"), training=50, test=9)


@pytest.mark.parametrize("sanitizer", SANITIZERS)
def test_the_trainer_is_clean(sanitizer: str, data: Path, tmp_path: Path) -> None:
    """Training with three threads, saving, resuming: no complaint, and nothing leaks."""
    sources = [PROGRAMS / "c" / name for name in ("train_mnist.c", "idx.c")]
    path = program(tmp_path, sanitizer, *sources)
    options = ["--batch", "16", "--show", "1", "--threads", "3", "--save", "saved.safetensors", "--every", "1"]
    first = run([path, data, "--epochs", "1", *options], tmp_path, SETTINGS)
    assert len([line for line in first.splitlines() if line.startswith("step")]) == 4
    second = run([path, data, "--epochs", "2", *options, "--resume", "saved.safetensors"], tmp_path, SETTINGS)
    assert len([line for line in second.splitlines() if line.startswith("step")]) == 4


@pytest.mark.parametrize("sanitizer", SANITIZERS)
def test_instances_in_threads_of_their_own_are_clean(sanitizer: str, tmp_path: Path) -> None:
    path = program(tmp_path, sanitizer, written(tmp_path, INSTANCES))
    assert run([path], tmp_path, SETTINGS) == "the same losses\n"


def complaint(path: Path, *arguments: str) -> str:
    done = subprocess.run([path, *arguments], env=SETTINGS, capture_output=True, text=True, timeout=600)
    assert done.returncode != 0
    return done.stderr


def test_faults_are_found(tmp_path: Path) -> None:
    """The tests above can fail: an array that is too short, an instance that two threads use at once."""
    assert "heap-buffer-overflow" in complaint(program(tmp_path, "address", written(tmp_path, SHORT)))
    assert "data race" in complaint(program(tmp_path, "thread", written(tmp_path, INSTANCES)), "shared")
