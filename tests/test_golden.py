"""Generated sources under review: small programs kept as files, what compilers say about them, and names from users.

The files hold the kernels and the step of each program for one fixed target, so that they are the same on every machine.
"""

from __future__ import annotations

import importlib.util
import itertools
import platform
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfgraph as tf
from tests._c_compiler import compile_c
from tests._nets import NETS, mlp
from tests._programs import program_of
from tests.conftest import GOLDEN
from tfgraph.runtime.toolchain import OPTIONS, compiler_of, target_options

pytestmark = pytest.mark.usefixtures("graph")

TARGET = "avx2"
# targets that compilers of this machine know
WIDE, NARROW = ("neon", "neon") if platform.machine().lower() in ("aarch64", "arm64") else ("avx512", "sse2")
COMPILERS = {name: name for name in ("gcc", "clang") if shutil.which(name)}
if importlib.util.find_spec("ziglang"):
    COMPILERS["zig"] = f"{sys.executable} -m ziglang cc"
STRICT = ("-Wall", "-Wextra", "-Werror")


def fed(*dims: int) -> Any:
    return tf.placeholder(tf.float32, [None, *dims], name="x")


def variable(name: str, *dims: int) -> Any:
    return tf.Variable(np.ones(dims, np.float32), name=name)


# --- the programs ---------------------------------------------------------------------------------------------


def mlp_step() -> tuple[Any, Any]:
    net = mlp()
    return net.fetches[:2], net.batch_shapes(8)


def _conv_layer(x: Any, filters: Any) -> Any:
    y = tf.nn.conv2d(x, filters, [1, 1, 1, 1], "SAME", name="conv")
    y = tf.nn.relu(tf.nn.bias_add(y, variable("bias", 16)), name="activation")
    return tf.nn.max_pool(y, [1, 2, 2, 1], [1, 2, 2, 1], "SAME", name="pool")


def conv_layer() -> tuple[Any, Any]:
    x = fed(12, 12, 3)
    return _conv_layer(x, variable("filters", 3, 3, 3, 16)), {x: (8, 12, 12, 3)}


def conv_layer_gradients() -> tuple[Any, Any]:
    x, filters = fed(12, 12, 3), variable("filters", 3, 3, 3, 16)
    loss = tf.nn.l2_loss(_conv_layer(x, filters))
    return tf.gradients(loss, [x, filters]), {x: (8, 12, 12, 3)}


def cross_entropy() -> tuple[Any, Any]:
    logits, labels = fed(10), tf.placeholder(tf.float32, [None, 10], name="labels")
    loss = tf.nn.softmax_cross_entropy_with_logits_v2(labels=labels, logits=logits, name="loss")
    return [loss, tf.gradients(loss, logits)[0]], {logits: (8, 10), labels: (8, 10)}


def reduce_in_parts() -> tuple[Any, Any]:
    x = fed(50)
    return [tf.reduce_mean(tf.square(x), name="power"), tf.reduce_max(x, 0, name="peak")], {x: (8, 50)}


def adam_update() -> tuple[Any, Any]:
    gradient, v = tf.placeholder(tf.float32, [30, 7], name="gradient"), variable("v", 30, 7)
    return tf.train.AdamOptimizer(0.01).apply_gradients([(gradient, v)]), {gradient: (30, 7)}


def dropout() -> tuple[Any, Any]:
    x, keep = fed(20), tf.placeholder(tf.float32, [], name="keep")
    return tf.nn.dropout(x, keep, seed=4), {x: (8, 20), keep: ()}


def checked_division() -> tuple[Any, Any]:
    x, y = (tf.placeholder(tf.int32, [None], name=name) for name in "xy")
    return tf.floordiv(x, y, name="quotient") * 2, {x: (8,), y: (8,)}


PROGRAMS: dict[str, Callable[[], tuple[Any, Any]]] = {
    f.__name__: f
    for f in (
        *(mlp_step, conv_layer, conv_layer_gradients, cross_entropy),
        *(reduce_in_parts, adam_update, dropout, checked_division),
    )
}


def reviewed_part(source: str) -> str:
    """The kernels of a program and its `tg_run`, without the prelude."""
    first = next(re.finditer(r"^(?:static )?void k00_", source, re.MULTILINE)).start()
    start = source.rindex("\n}\n", 0, first) + 3
    end = source.index("#ifndef TG_POOL_ELSEWHERE\n__attribute__")
    return source[start:end].strip() + "\n"


@pytest.mark.parametrize("name", PROGRAMS)
def test_source_is_as_reviewed(name: str, golden: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFGRAPH_TARGET", TARGET)
    monkeypatch.setenv("TFGRAPH_CONV", "direct")
    golden(f"{name}.c", reviewed_part(program_of(*PROGRAMS[name]()).source))


def test_every_golden_file_has_a_program() -> None:
    assert {path.name for path in GOLDEN.glob("*.c")} <= {f"{name}.c" for name in PROGRAMS}


# --- compilers ------------------------------------------------------------------------------------------------


def complaints(compiler: str, source: str, folder: Path, *options: str) -> str:
    """What the compiler says of a source; warnings are errors, and an error fails the test."""
    file = folder / "step.c"
    file.write_text(source)
    found = compiler_of(COMPILERS[compiler])
    flags = [option for option in OPTIONS if option != "-shared"]
    flags += [*target_options(found), *STRICT, *options]
    return compile_c(*flags, "-c", "-o", "step.o", file, folder=folder, compiler=found)


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("target", dict.fromkeys((WIDE, NARROW)))
@pytest.mark.parametrize("net", NETS.values(), ids=NETS)
def test_nets_compile_without_warnings(
    net: Any, target: str, compiler: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At -O1; the checked runs of test_memory_plan compile the same nets at full optimisation."""
    monkeypatch.setenv("TFGRAPH_TARGET", target)
    built = net()
    assert complaints(compiler, program_of(built.fetches, built.batch_shapes(4)).source, tmp_path, "-O1") == ""


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_compile_without_warnings(
    name: str, compiler: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TFGRAPH_TARGET", WIDE)
    assert complaints(compiler, program_of(*PROGRAMS[name]()).source, tmp_path) == ""


# --- names ----------------------------------------------------------------------------------------------------

KEYWORDS = (
    "auto break case char const continue default do double else enum extern float for goto if inline int long register "
    "restrict return short signed sizeof static struct switch typedef union unsigned void volatile while asm typeof "
    "_Bool _Atomic _Generic __func__ __attribute__"
).split()
KNOWN_TO_C = (
    "main printf malloc free memcpy memset strlen abort exit signal index time errno NULL assert EOF stdin true false "
    "bool NAN INFINITY M_PI I linux unix y0 y1 j0 j1 jn gamma exp expf log sqrt sin tanh erf pow fabs fmax floor rint "
    "int8_t int64_t uint8_t size_t ptrdiff_t INT64_MIN uintptr_t pthread_create atomic_fetch_add"
).split()
OURS = (
    "step N s chunk first last row column acc part parts scratch sum i j k o e r i0 i1 r0 k00_add k00_matmul tg_run tg_step "
    "tg_launch tg_exp_f32 tg_fail tg_new_pool tg_launches tg_arrays arrays batch fixed feeds fetches variables constants "
    "random pool failed "
    "from to size items blocks start stop item end"
).split()
ODD = (
    "a//b a/../b x/.../y ... . - A-B-C 0 00 9lives 1/2/3 dot.dot under__score trailing_ a.b-c UPPER MiXeD int/int "
    "step/int/x x/y y/x read/read x/read/y x\\ x\\\\ a\\nb x\\u002a/ a>b"
).split()
LONG = ["n" * 300, "scope/" * 40 + "leaf", "x" * 23 + "_" + "y" * 40]


def is_valid(name: str) -> bool:
    """A name must begin with a letter, a digit or a dot."""
    return re.match(r"[A-Za-z0-9.]", name) is not None


NAMES = [name for name in dict.fromkeys((*KEYWORDS, *KNOWN_TO_C, *OURS, *ODD, *LONG)) if is_valid(name)]


def test_names_of_any_kind_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every name on a placeholder, a variable and some nodes of a program that is compiled and run."""
    monkeypatch.setenv("TFGRAPH_BACKEND", "compiled")
    monkeypatch.setenv("TFGRAPH_CHECK", "1")
    monkeypatch.setenv("TFGRAPH_CFLAGS", " ".join((*STRICT, "-O1")))
    x = tf.placeholder(tf.float32, [None, 3], name="int/step")
    total = x
    for i, name in enumerate(NAMES):
        if i % 3 == 0:
            total = tf.add(total, 1.0, name=name)
        elif i % 3 == 1:
            total = tf.matmul(total, tf.Variable(np.eye(3, dtype=np.float32), name=name), name=name)
        else:
            total = total + tf.reduce_sum(total * 0.0, 0, name=name)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        (result,) = session.run([total], {x: np.zeros((2, 3), np.float32)})
    added = sum(1 for i in range(len(NAMES)) if i % 3 == 0)
    np.testing.assert_array_equal(result, np.full((2, 3), added, np.float32))


REFUSED = ["a*/b", "/* x */", "x;y", "x\ny", "x y", "naïve", "数", "\\", '"', "'", "x{", "%s", "{{ x }}", "_first", "x!"]


@pytest.mark.parametrize("name", REFUSED)
def test_names_that_could_end_a_comment_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="not a valid"):
        tf.add(tf.constant(1.0), 2.0, name=name)
    with pytest.raises(ValueError, match="not a valid"):
        tf.placeholder(tf.float32, name=name)


# kernels of every kind, each with all its nodes named by the test
BLOCKS: dict[str, Callable[[Callable[[], str], Any, Any], Any]] = {
    "pointwise": lambda name, x, image: tf.tanh(tf.multiply(x, vector(name()), name=name()), name=name()),
    "rows": lambda name, x, image: tf.nn.softmax(tf.multiply(x, vector(name()), name=name()), name=name()),
    "reduce": lambda name, x, image: tf.sqrt(
        tf.reduce_sum(tf.square(tf.add(x, vector(name()), name=name())), 0, name=name()), name=name()
    ),
    "matmul": lambda name, x, image: tf.nn.relu(
        tf.add(tf.matmul(x, variable(name(), 16, 16), name=name()), vector(name()), name=name()), name=name()
    ),
    "conv2d": lambda name, x, image: tf.nn.relu(
        tf.add(
            tf.nn.conv2d(image, variable(name(), 3, 3, 16, 16), [1, 1, 1, 1], "SAME", name=name()),
            vector(name()),
            name=name(),
        ),
        name=name(),
    ),
    "pool": lambda name, x, image: tf.nn.max_pool(
        tf.add(image, vector(name()), name=name()), [1, 2, 2, 1], [1, 2, 2, 1], "SAME", name=name()
    ),
    "moves": lambda name, x, image: tf.concat(
        [
            tf.reverse(tf.add(x, vector(name()), name=name()), [1], name=name()),
            tf.gather(variable(name(), 5, 16), tf.cast(x[:, 0], tf.int32, name=name()), name=name()),
            tf.pad(tf.exp(x, name=name()), [[0, 0], [1, 2]], name=name()),
        ],
        1,
        name=name(),
    ),
    "searches": lambda name, x, image: (
        tf.cast(tf.argmax(tf.add(x, vector(name())), 1, name=name()), tf.float32)
        + tf.cumsum(tf.nn.top_k(x, 3, name=name())[0], 1, name=name())[:, 0]
    ),
    "random": lambda name, x, image: tf.multiply(tf.random_uniform([5, 16], name=name()), 2.0, name=name()),
    "update": lambda name, x, image: tf.train.AdamOptimizer(name=name()).minimize(
        tf.nn.l2_loss(tf.matmul(x, variable(name(), 16, 16), name=name()))
        + tf.nn.l2_loss(tf.nn.conv2d(image, variable(name(), 3, 3, 16, 16), [1, 1, 1, 1], "SAME", name=name()))
        + tf.nn.l2_loss(vector(name()))
    ),
}
IDENTIFIER = re.compile(r"\b[A-Za-z_]\w*")


def vector(name: str) -> Any:
    return variable(name, 16)


def block_source(kind: str, names: list[str], rounds: int) -> str:
    """The program of as many blocks as it takes to use every name `rounds` times."""
    supply = itertools.cycle(names)
    taken = 0

    def name() -> str:
        nonlocal taken
        taken += 1
        return next(supply)

    with tf.Graph().as_default():
        x = tf.placeholder(tf.float32, [None, 16], name="in")
        image = tf.placeholder(tf.float32, [None, 8, 8, 16], name="images")
        fetches = []
        while taken < rounds * len(names):
            fetches.append(BLOCKS[kind](name, x, image))
        return program_of(fetches, {x: (4, 16), image: (4, 8, 8, 16)}).source


@pytest.mark.parametrize("kind", BLOCKS)
def test_names_that_the_templates_use_themselves(kind: str, tmp_path: Path) -> None:
    """Nodes that are called like anything in the C of their own kernel: nothing collides, nothing is hidden."""
    code = re.sub(r"/\*.*?\*/|//[^\n]*", "", reviewed_part(block_source(kind, ["node"], 1)), flags=re.DOTALL)
    words = sorted({word.lower() for word in IDENTIFIER.findall(code)} - {"node"})
    source = block_source(kind, [word for word in words if is_valid(word)], 1 if kind == "update" else 3)
    assert complaints(next(iter(COMPILERS)), source, tmp_path, "-O0", "-Wshadow") == ""
