"""The C program that trains LeNet: the Session's run to the last bit, killed and resumed, and what it refuses."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests import _exported
from tests._c_compiler import COMPILER, compile_c
from tfgraph.examples import _idx, mnist

pytestmark = [
    pytest.mark.xdist_group(_exported.GROUP),
    pytest.mark.skipif(COMPILER is None, reason="needs a C compiler in PATH"),
]
WARNINGS = ("-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror")
BATCH = ["--batch", "64"]  # of 300 digits: 5 steps an epoch, the last of 44


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("program")
    library = _exported.library()
    sources = [library / "programs" / "c" / name for name in ("train_mnist.c", "idx.c")]
    path = folder / "train_mnist"
    links = [f"-I{library}", f"-L{library}", "-l:libmnist.a", "-lm", "-pthread", "-o", path]
    assert not compile_c("-O1", *WARNINGS, *sources, *links, folder=folder)
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _exported.write_few(tmp_path_factory.mktemp("data"), training=300, test=90)


def trained(program: Path, data: Path, *options: str | Path) -> list[str]:
    """The lines that tell of a run by the C program."""
    return told(_exported.run([program, data, *BATCH, "--show", "1", *options], program.parent))


def trained_by_session(capsys: pytest.CaptureFixture[str], data: Path, output: Path, *options: str) -> list[str]:
    """The lines that tell of a run by the Python example, which leaves its checkpoint in `output`."""
    assert mnist.main(["--data", str(data), *BATCH, "--show", "1", "--output", str(output), *options]) == 0
    return told(capsys.readouterr().out)


def told(printed: str) -> list[str]:
    return [line for line in printed.splitlines() if line.startswith(("step", "epoch"))]


def test_the_program_and_the_session_train_alike(program, data, tmp_path, capsys):
    """Losses, accuracies and the checkpoint, dropout's random state included."""
    lines = trained(program, data, "--epochs", "2", "--save", tmp_path / "c.safetensors")
    assert lines == trained_by_session(capsys, data, tmp_path / "python", "--epochs", "2")
    assert len(lines) == 2 * 5 + 2
    assert (tmp_path / "c.safetensors").read_bytes() == (tmp_path / "python" / mnist.CHECKPOINT).read_bytes()


def test_another_seed_is_the_seed_of_the_graph(program, data, tmp_path, capsys):
    lines = trained(program, data, "--epochs", "1", "--seed", "7", "--save", tmp_path / "c.safetensors")
    assert lines == trained_by_session(capsys, data, tmp_path / "python", "--epochs", "1", "--seed", "7")
    assert (tmp_path / "c.safetensors").read_bytes() == (tmp_path / "python" / mnist.CHECKPOINT).read_bytes()
    assert lines != trained(program, data, "--epochs", "1")


def test_each_continues_the_run_of_the_other(program, data, tmp_path, capsys):
    whole, half, end = (tmp_path / f"{name}.safetensors" for name in ("whole", "half", "end"))
    lines = trained(program, data, "--epochs", "2", "--save", whole)
    first = [line.replace("/1 ", "/2 ") for line in trained(program, data, "--epochs", "1", "--save", half)]
    second = trained_by_session(capsys, data, tmp_path / "python", "--epochs", "2", "--resume", str(half))
    assert first + second == lines
    assert (tmp_path / "python" / mnist.CHECKPOINT).read_bytes() == whole.read_bytes()
    trained_by_session(capsys, data, tmp_path / "first", "--epochs", "1")
    resume = ["--resume", tmp_path / "first" / mnist.CHECKPOINT]
    assert trained(program, data, "--epochs", "2", *resume, "--save", end) == second
    assert end.read_bytes() == whole.read_bytes()


def test_the_number_of_threads_changes_nothing(program, data, tmp_path):
    files = [tmp_path / f"{threads}.safetensors" for threads in (1, 2, 3)]
    lines = [trained(program, data, "--epochs", "1", "--threads", path.stem, "--save", path) for path in files]
    assert lines[0] == lines[1] == lines[2]
    assert files[0].read_bytes() == files[1].read_bytes() == files[2].read_bytes()


def lines_until_killed(command: Sequence[str | Path], count: int) -> list[str]:
    """The first lines of a process that is killed once it has written them, wherever it is then.

    It writes to a socket that holds a few lines, so that it is not at its end before a busy machine comes to kill it.
    """
    ours, its = socket.socketpair()
    its.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)  # the least that there is
    with ours, ours.makefile() as written, subprocess.Popen([*map(str, command)], stdout=its) as process:
        its.close()
        lines = [written.readline() for _ in range(count)]
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    return lines


def test_a_killed_run_ends_with_the_same_weights_when_resumed(program, data, tmp_path):
    """Killed twice at some step, not told in advance; the last checkpoint is a few steps old."""
    whole, killed = tmp_path / "whole.safetensors", tmp_path / "killed.safetensors"
    options = ["--epochs", "14", "--save", killed, "--every", "4"]
    expected = trained(program, data, "--epochs", "14", "--save", whole)
    seen: list[str] = []
    for lines in (7, 15):
        resume = ["--resume", killed] if killed.exists() else []
        command = [program, data, *BATCH, "--show", "1", *options, *resume]
        seen += lines_until_killed(command, lines)
    assert told("".join(seen))[-1] in expected
    rest = trained(program, data, *options, "--resume", killed)
    assert len(rest) < len(expected)
    assert expected[-len(rest) :] == rest
    assert killed.read_bytes() == whole.read_bytes()


def refused(program: Path, *arguments: str | Path) -> tuple[int, str]:
    done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=600)
    return done.returncode, done.stderr


def test_bad_options_are_refused_with_the_usage(program, data):
    for options in (["--nothing", "1"], ["--epochs", "few"], ["--batch", "0"], ["--epochs"], ["--show", "-1"]):
        assert refused(program, data, *options) == (2, refused(program)[1])
    assert "usage: " in refused(program)[1]


def test_bad_files_are_refused_with_a_reason(program, data, tmp_path):
    status, error = refused(program, tmp_path)
    assert status == 1
    assert error == f"{tmp_path}/train-images-idx3-ubyte: cannot open\n"
    checkpoint = tmp_path / "checkpoint.safetensors"
    trained(program, data, "--epochs", "0", "--save", checkpoint)
    content = checkpoint.read_bytes()
    for spoilt in (content[:-1], content[:100], b"", content[:-1] + bytes([content[-1] ^ 1])):
        checkpoint.write_bytes(spoilt)
        status, error = refused(program, data, "--resume", checkpoint)
        assert status == 1
        assert error.startswith(f"{checkpoint}: ")
    for name in ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"):
        _idx.write_digits(tmp_path, *_idx.read_digits(data))
        (tmp_path / name).write_bytes((data / name).read_bytes()[:-1])
        assert refused(program, tmp_path) == (1, f"{tmp_path / name}: empty, cut off, or longer than it says\n")


@pytest.mark.skipif("TFGRAPH_MNIST" not in os.environ, reason="TFGRAPH_MNIST names no folder with MNIST's four IDX files")
def test_real_digits_are_learnt_from_a_cold_start(program, tmp_path):
    """At least 97 % of the test digits."""
    folder = tmp_path / "plain"
    _idx.write_digits(folder, *_idx.read_digits(Path(os.environ["TFGRAPH_MNIST"])))
    lines = told(_exported.run([program, folder, "--epochs", "5", "--threads", "2"], tmp_path))
    assert float(lines[-1].split("accuracy ")[1].rstrip("%")) >= 97
