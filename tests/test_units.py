"""Long programs as translation units: how they are cut, that they are the same program, and what is said when one fails."""

from __future__ import annotations

import ctypes
import itertools
import shlex
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tfgraph as tf
from tests._cached import answer, entries, forget_loaded, nothing_left, script
from tests._nets import NETS
from tests._programs import program_of
from tfgraph import errors
from tfgraph.codegen import units
from tfgraph.codegen.emitted import Shared
from tfgraph.runtime import build, cpu, toolchain

pytestmark = pytest.mark.usefixtures("graph")


@pytest.fixture
def many_units(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even small nets become several units."""
    monkeypatch.setattr(units, "SMALLEST_SPLIT", 0)
    monkeypatch.setattr(units, "LARGEST_UNIT", 8_000)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own for a test that looks into it."""
    monkeypatch.setenv("TFGRAPH_CACHE", str(tmp_path / "modules"))
    forget_loaded(monkeypatch)
    return tmp_path / "modules"


# --- cutting ----------------------------------------------------------------------------------------------------


def function(name: str, size: int, linkage: str = "static") -> str:
    """A C function whose text has about so many characters."""
    return f"{linkage} void {name}(const tg_step *s, int64_t chunk)\n{{\n    {'f();' * (size // 4)}\n}}\n"


def load(unit: units.Unit) -> int:
    return sum(map(units.work_of, unit.shared + unit.kernels))


@given(
    st.lists(st.integers(1, 60), min_size=2, max_size=8),
    st.lists(st.integers(1, 30), max_size=6),
    st.sampled_from([2, 4]),
)
def test_units_are_filled_evenly(sizes: list[int], shared_sizes: list[int], most: int) -> None:
    """No unit is fuller than the best cut of the kernels alone, or than the mean and one shared function."""
    kernels = [function(f"k{i}", 100 * size) for i, size in enumerate(sizes)]
    shared = [Shared(f"tg_{i}", function(f"tg_{i}", 100 * size, "static TG_ALONE")) for i, size in enumerate(shared_sizes)]
    items = [units.work_of(item.source) for item in shared]
    work = list(map(units.work_of, kernels))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(units, "SMALLEST_SPLIT", 0)
        patch.setattr(units, "STEP_SIZE", 0)
        patch.setattr(units, "LARGEST_UNIT", -(-(sum(work) + sum(items)) // most))
        found = units.cut_into_units(kernels, shared)
    assert [text for unit in found.units for text in unit.kernels] == kernels
    assert len(found.units) <= most
    assert all(unit.kernels for unit in found.units)
    held = [text for unit in found.units for text in unit.shared]
    assert sorted(held) == sorted(item.source.replace("static TG_ALONE", "TG_SHARED") for item in shared)
    assert len(found.declared) == len(shared)
    assert found.everywhere == ()
    least = min(
        max(sum(work[a:b]) for a, b in zip((0, *cuts), (*cuts, len(kernels)), strict=True))
        for count in range(most)
        for cuts in itertools.combinations(range(1, len(kernels)), count)
    )
    mean = (sum(work) + sum(items)) / len(found.units)
    assert max(map(load, found.units)) <= max(least, mean + max(items, default=0))


def test_what_others_name_is_in_every_unit(many_units: None) -> None:
    """Types, inline functions, and functions that come with such of which others make use."""
    alone = function("tg_alone", 8, "static TG_ALONE")
    inline = "static inline int64_t tg_one(void)\n{\n    return 1;\n}\n"
    shared = [
        Shared("tg_type", "typedef struct tg_type {\n    int64_t first;\n} tg_type;\n"),
        Shared("tg_alone", alone),
        Shared("tg_both", inline + function("tg_both", 8, "static TG_ALONE")),
        Shared("tg_own", inline.replace("tg_one", "tg_two") + function("tg_own", 8, "static TG_ALONE")),
    ]
    kernels = [function(f"k{i}", 20_000).replace("f()", "tg_one()") for i in range(2)]
    found = units.cut_into_units(kernels, shared)
    assert found.everywhere == (shared[0].source, shared[2].source)
    assert found.declared == tuple(f"void {name}(const tg_step *s, int64_t chunk)" for name in ("tg_alone", "tg_own"))


def test_short_programs_stay_whole() -> None:
    x = tf.placeholder(tf.float32, [None, 4])
    source = program_of(tf.nn.softmax(tf.tanh(x) * 2.0), {x: (3, 4)}).source
    assert units.unit_count(source) == 1
    assert "TG_IN_UNIT" not in source


def test_the_number_of_units_is_in_the_source(many_units: None) -> None:
    net = NETS["lenet"]()
    source = program_of(net.fetches, net.batch_shapes(4)).source
    count = units.unit_count(source)
    assert count >= 4
    assert [f"#if TG_IN_UNIT({i})" in source for i in range(count + 1)] == [True] * count + [False]


# --- the same program -------------------------------------------------------------------------------------------


def trained(name: str, folder: Path) -> tuple[list[bytes], str]:
    """The bits of losses and variables after three steps, and the source of the step."""
    with tf.Graph().as_default(), tf.Session() as session:
        net = NETS[name]()
        session.run(tf.global_variables_initializer())
        found = [v for i in range(3) for v in session.run(net.fetches, net.feeds(9, i)) if v is not None]
        found += session.run(tf.global_variables())
        return [np.asarray(v).tobytes() for v in found], Path(session.export_source(folder)[-1]).read_text()


@pytest.mark.parametrize("name", ["lenet", "convnet"])
def test_units_compute_the_same_bits(name: str, many_units: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the one module that the same source makes when it is compiled whole."""
    parted, source = trained(name, tmp_path)
    assert units.unit_count(source) >= 2
    monkeypatch.setattr(build, "unit_count", lambda source: 1)
    whole, same = trained(name, tmp_path)
    assert same == source
    assert parted == whole


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
def test_units_make_no_warnings_and_export_nothing_more(
    many_units: None, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CC", "gcc")
    monkeypatch.setenv("TFGRAPH_CFLAGS", "-O1 -Wall -Wextra -Werror")
    net = NETS["mlp"]()
    source = program_of(net.fetches, net.batch_shapes(4)).source
    assert units.unit_count(source) >= 2
    cpu.load(source)
    module = ctypes.CDLL(str(entries(folder)[0]))
    assert module.tg_run
    for declared in ("TG_LAUNCHED void ", "TG_SHARED void "):
        assert not hasattr(module, source.split(declared)[1].split("(")[0])
    assert not hasattr(module, "tg_minus_zero")


# --- the compiler -------------------------------------------------------------------------------------------------

PARTED = """
#include <stdint.h>
#define TG_UNITS 3
#if !defined(TG_UNIT) || TG_UNIT == 0
int first(void) { return 40; }
#endif
#if !defined(TG_UNIT) || TG_UNIT == 1
int second(void) { return 2; }
#endif
#if !defined(TG_UNIT) || TG_UNIT == 2
#define EXPORTED __attribute__((visibility("default")))
typedef struct { int64_t N; } tg_step;
int first(void); int second(void);
EXPORTED int64_t tg_run(tg_step *s, int64_t a, int64_t b) { return s->N * 100 + b - a + first() + second(); }
EXPORTED void *tg_new_pool(int64_t threads) { (void)threads; return 0; }
#endif
"""


def compiler_that(path: Path, does: str) -> str:
    """A compiler that does something before it compiles."""
    found = toolchain.find_compiler()
    assert found is not None
    return script(path, f"{does}\nexec {shlex.join(found.command)} \"$@\"")


def test_each_unit_is_compiled_once(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", compiler_that(tmp_path / "logging", f'echo "$@" >> {tmp_path}/log'))
    before = cpu.statistics().compilations
    assert answer(cpu.load(PARTED)) == 42
    lines = (tmp_path / "log").read_text().splitlines()
    assert sorted(word for line in lines for word in line.split() if word.startswith("-DTG_UNIT")) == [
        f"-DTG_UNIT={i}" for i in range(3)
    ]
    assert "step_0.o step_1.o step_2.o" in lines[-1]  # linked at last, in order
    assert len(lines) == 4
    assert cpu.statistics().compilations - before == 1
    assert len(entries(folder)) == 1
    assert not list(folder.glob(".build-*"))


@pytest.mark.parametrize("unit", range(3))
def test_a_unit_that_fails(unit: int, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fails = f'case "$*" in *-DTG_UNIT={unit}*) echo "unit {unit} is wrong" >&2; exit 3;; esac'
    monkeypatch.setenv("CC", compiler_that(tmp_path / "failing", fails))
    with pytest.raises(errors.InternalError, match="failed with exit status 3") as caught:
        cpu.load(PARTED)
    assert f"unit {unit} is wrong" in str(caught.value)
    assert f"-DTG_UNIT={unit}" in str(caught.value)
    assert nothing_left(folder)


def test_units_that_cannot_be_linked(folder: Path) -> None:
    with pytest.raises(errors.InternalError, match=r"multiple definition|duplicate symbol") as caught:
        cpu.load(PARTED.replace("int second(void) { return 2; }", "int first(void) { return 2; }"))
    assert "step_0.o step_1.o step_2.o" in str(caught.value)
    assert nothing_left(folder)


def test_units_that_are_killed(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", compiler_that(tmp_path / "killed", 'case "$*" in *TG_UNIT=1*) kill -KILL $$;; esac'))
    with pytest.raises(errors.InternalError, match="was killed by SIGKILL"):
        cpu.load(PARTED)
    assert nothing_left(folder)


def test_one_processor_compiles_them_in_turn(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Never more at a time than there are processors for."""
    log = tmp_path / "log"
    found: Any = toolchain.find_compiler()
    text = f'echo begin >> {log}\n{shlex.join(found.command)} "$@"\nstatus=$?\necho end >> {log}\nexit $status'
    monkeypatch.setenv("CC", script(tmp_path / "logging", text))
    monkeypatch.setattr(build, "processor_count", lambda: 1)
    assert answer(cpu.load(PARTED)) == 42
    assert log.read_text().split() == ["begin", "end"] * 4
