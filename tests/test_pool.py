"""The thread pool of the C prelude: every chunk once, any number of threads, forks, callers at the same time."""

import ctypes
import re
import subprocess
import sys
import threading

import numpy as np
import pytest

from tests._c_compiler import COMPILER, compile_c
from tests._subprocesses import ROOT
from tfgraph.codegen.render import render

pytestmark = pytest.mark.skipif(COMPILER is None, reason="needs a C compiler")

FLAGS = ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-pthread"]
PROTOTYPES = """
tg_pool *create(int threads);
void destroy(tg_pool *pool);
void count(tg_pool *pool, int64_t *counts, int64_t chunks);
int64_t nested(tg_pool *pool);
void denormals(tg_pool *pool, double *products, int64_t chunks);
"""
EXPORTS = """
tg_pool *create(int threads) { return tg_pool_create(threads); }
void destroy(tg_pool *pool) { tg_pool_destroy(pool); }

static void add_one(const void *context, int64_t chunk)
{
    int64_t *const *counts = context;
    (*counts)[chunk] += chunk + 1;
}

void count(tg_pool *pool, int64_t *counts, int64_t chunks) { tg_parallel(pool, add_one, &counts, chunks); }

typedef struct { tg_pool *pool; int64_t counts[8][16]; } table;

static void row(const void *context, int64_t chunk)
{
    table *const *t = context;
    count((*t)->pool, (*t)->counts[chunk], 16);
}

int64_t nested(tg_pool *pool)
{
    table t = {.pool = pool}, *context = &t;
    tg_parallel(pool, row, &context, 8);
    int64_t sum = 0;
    for (int i = 0; i < 8; ++i)
        for (int j = 0; j < 16; ++j)
            sum += t.counts[i][j];
    return sum;
}

static void multiply(const void *context, int64_t chunk)
{
    double *const *products = context;
    volatile double tiny = 1e-300;
    (*products)[chunk] = tiny * 1e-10;
    for (volatile int i = 0; i < 3000; ++i) { }     /* time for the workers to take some */
}

void denormals(tg_pool *pool, double *products, int64_t chunks)
{
    tg_parallel(pool, multiply, &products, chunks);
}
"""
STRESS = """
typedef struct { tg_pool *pool; int id; } user;

static void *use(void *argument)
{
    user *self = argument;
    for (int job = 0; job < 400; ++job) {
        int64_t counts[37] = {0}, chunks = 1 + (job * 7 + self->id) % 37;
        count(self->pool, counts, chunks);
        for (int64_t i = 0; i < 37; ++i)
            if (counts[i] != (i < chunks ? i + 1 : 0))
                abort();
        if (job % 100 == 0)
            usleep(300);                            /* lets the workers fall asleep */
    }
    return NULL;
}

int main(void)
{
    for (int threads = 1; threads <= 8; threads *= 2) {
        tg_pool *pool = create(threads);
        user users[3];
        pthread_t callers[3];
        for (int i = 0; i < 3; ++i) {
            users[i] = (user){pool, i};
            pthread_create(&callers[i], NULL, use, &users[i]);
        }
        for (int i = 0; i < 3; ++i)
            pthread_join(callers[i], NULL);
        if (nested(pool) != 8 * 136)
            abort();
        destroy(pool);
    }
    return 0;
}
"""


def source(*parts):
    return "\n".join([render("c/pool.h.j2"), PROTOTYPES, EXPORTS, *parts])


def compile_library(folder):
    (folder / "pool.c").write_text(source())
    path = folder / "pool.so"
    compile_c(*FLAGS, "-shared", "-fPIC", "pool.c", "-o", path.name, folder=folder)
    return path


def load(path):
    handle = ctypes.CDLL(str(path))
    handle.create.restype = ctypes.c_void_p
    handle.destroy.argtypes = [ctypes.c_void_p]
    handle.nested.restype = ctypes.c_int64
    handle.nested.argtypes = [ctypes.c_void_p]
    handle.count.argtypes = handle.denormals.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64]
    return handle


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return compile_library(tmp_path_factory.mktemp("pool"))


@pytest.fixture(scope="module")
def library(path):
    return load(path)


@pytest.fixture(params=[1, 2, 4, 8])
def pool(library, request):
    pool = library.create(request.param)
    yield pool
    library.destroy(pool)


def assert_counts(library, pool, chunks):
    counts = np.zeros(chunks + 1, np.int64)
    library.count(pool, counts.ctypes.data, chunks)
    assert np.array_equal(counts[:chunks], np.arange(chunks) + 1)
    assert counts[chunks] == 0


@pytest.mark.parametrize("chunks", [0, 1, 2, 3, 7, 8, 9, 33, 10_000])
def test_every_chunk_runs_once(library, pool, chunks):
    for _ in range(20):
        assert_counts(library, pool, chunks)


def test_null_is_a_pool_of_the_caller_alone(library):
    assert_counts(library, None, 17)


def test_a_call_inside_a_chunk_runs(library, pool):
    assert library.nested(pool) == 8 * 136


def test_every_thread_flushes_denormals_and_the_caller_gets_its_own_back(library, pool):
    products = np.full(2000, np.nan)
    library.denormals(pool, products.ctypes.data, products.size)
    assert np.array_equal(products, np.zeros(2000))
    assert np.float64(1e-300) * np.float64(1e-10) != 0


def test_callers_at_the_same_time(library, pool):
    failures = []

    def use():
        try:
            for chunks in range(1, 200):
                assert_counts(library, pool, chunks)
        except AssertionError as error:
            failures.append(error)

    callers = [threading.Thread(target=use) for _ in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(timeout=600)
    assert not any(caller.is_alive() for caller in callers)
    assert failures == []


def test_one_object_uses_the_pool_of_another(library, pool, tmp_path):
    other = load(compile_library(tmp_path))
    assert_counts(other, pool, 33)
    assert_counts(library, pool, 33)
    assert other.nested(pool) == 8 * 136


FORKS = """
import os, signal, sys, threading
sys.path.insert(0, {root!r})
from tests.test_pool import assert_counts, load
library = load({path!r})
pool = library.create({threads})
unused = library.create({threads})
stop = threading.Event()

def keep_busy():
    while not stop.is_set():
        assert_counts(library, pool, 64)

if {busy}:
    threading.Thread(target=keep_busy).start()
else:
    assert_counts(library, pool, 64)
for _ in range(20):
    child = os.fork()
    if child == 0:
        signal.alarm(300)
        for _ in range(20):
            assert_counts(library, pool, 64)
        grandchild = os.fork()
        if grandchild == 0:
            signal.alarm(300)
            assert_counts(library, pool, 64)
            library.destroy(pool)
            os._exit(0)
        status = os.waitpid(grandchild, 0)[1]
        assert_counts(library, unused, 64)
        library.destroy(unused)
        os._exit(status != 0)
    assert os.waitpid(child, 0)[1] == 0
stop.set()
assert_counts(library, unused, 64)
if not {busy}:
    library.destroy(pool)
library.destroy(unused)
print("done")
"""


@pytest.mark.parametrize("busy", [False, True])
@pytest.mark.parametrize("threads", [1, 2, 4])
def test_children_after_fork_start_threads_of_their_own(path, threads, busy):
    script = FORKS.format(root=str(ROOT), path=str(path), threads=threads, busy=busy)
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", script]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert (finished.returncode, finished.stdout) == (0, "done\n"), finished.stderr


@pytest.mark.parametrize("sanitizer", ["thread", "address,undefined"])
def test_sanitizers_find_nothing(sanitizer, tmp_path):
    (tmp_path / "stress.c").write_text(source(STRESS))
    flag = f"-fsanitize={sanitizer}"
    build = subprocess.run(
        [COMPILER, *FLAGS, "-g", flag, "-fno-sanitize-recover=all", "stress.c", "-o", "stress"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if re.search(r"cannot find .*(tsan|asan|ubsan)", build.stderr):
        pytest.skip(f"the compiler's {sanitizer} sanitizer is not installed")
    assert build.returncode == 0, build.stderr
    run = subprocess.run([tmp_path / "stress"], capture_output=True, text=True, timeout=600, check=False)
    if "unexpected memory mapping" in run.stderr:
        pytest.skip("this kernel's address layout is not one the sanitizer knows")
    assert run.returncode == 0, run.stderr
