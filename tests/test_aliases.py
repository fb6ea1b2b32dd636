"""Scripts that import TensorFlow, run and checked on this package."""



from __future__ import annotations

import gzip
import json
import struct
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfgraph as tf
from tfgraph.aliases import era
from tfgraph.aliases.check import uses_of_tensorflow
from tfgraph.aliases.names import is_here, is_tensorflows, names_of_tensorflow


def command(*arguments: Any, env: Any = None) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "tfgraph", *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, timeout=300, env=env, check=False)


def written(path: Path, text: str) -> Path:
    path.write_text(textwrap.dedent(text))
    return path


# --- run -----------------------------------------------------------------------------------------------------------------


def test_a_script_runs_unchanged(tmp_path: Path) -> None:
    pytest.importorskip("absl", reason="tf.app.flags needs absl-py: pip install absl-py")
    script = written(
        tmp_path / "train.py",
        """
        import sys
        import helper
        import tensorflow as tf
        import tensorflow.compat.v1 as v1
        import tensorflow.contrib.layers as layers
        from tensorflow.python.framework import ops
        from tensorflow.python.ops import math_ops

        tf.app.flags.DEFINE_integer("steps", 3, "how many")
        tf.flags.DEFINE_float(flag_name="rate", default_value=0.5, docstring="how far")
        FLAGS = tf.app.flags.FLAGS

        def main(argv):
            x = tf.Variable(8.0)
            train = tf.train.GradientDescentOptimizer(FLAGS.rate).minimize(tf.square(x) / 2)
            with v1.Session() as sess:
                sess.run(tf.global_variables_initializer())
                for _ in range(FLAGS.steps):
                    sess.run(train)
                value = sess.run(math_ops.multiply(x, 1.0))
            assert isinstance(x.value(), ops.Tensor) and helper.tf.Session is tf.Session
            print(value, argv[1:], tf.__version__)

        if __name__ == "__main__":
            tf.app.run()
        """,
    )
    written(tmp_path / "helper.py", "import tensorflow as tf\n")
    done = command("run", script, "--steps=2", "rest", "--unknown=1")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "2.0 ['rest', '--unknown=1'] 1.14.0\n"


def test_the_exit_status_and_missing_scripts(tmp_path: Path) -> None:
    assert command("run", written(tmp_path / "a.py", "import sys\nsys.exit(3)\n")).returncode == 3
    done = command("run", tmp_path / "b.py")
    assert done.returncode == 2
    assert "there is no file" in done.stderr


def test_scripts_of_tensorflow_are_explained(tmp_path: Path) -> None:
    script = written(
        tmp_path / "a.py",
        """
        import tensorflow.compat.v1 as tf
        tf.disable_v2_behavior()
        x = tf.placeholder(tf.float32, [None, 3])
        y = tf.reduce_sum(tf.tanh(x) * 2.0)
        with tf.Session() as sess:
            print(sess.run(y, {x: [[0.0, 0.0, 0.0]]}))
        """,
    )
    done = command("explain", script)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("0.0\n")
    assert "nodes: " in done.stdout or "compiled" in done.stdout


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    script = written(tmp_path / "a.py", "import tensorflow as tf\ntf.reduce_meen(1)\n")
    done = command("run", script)
    assert done.returncode == 1
    assert "the nearest that it has is tf.reduce_mean" in done.stderr
    done = command("run", written(tmp_path / "b.py", "import tensorflow.contrib.slim\n"))
    assert "tfgraph has no tensorflow.contrib.slim yet" in done.stderr


def test_names_have_errors_of_their_own() -> None:
    with pytest.raises(AttributeError, match=r"tfgraph has no tf\.sparse_placeholder yet"):
        tf.sparse_placeholder  # noqa: B018 (looking is the test)
    with pytest.raises(AttributeError, match=r"no attribute 'nn\.conv2', nor has tfgraph; .* tf\.nn\.conv2d"):
        tf.nn.conv2  # noqa: B018
    assert not hasattr(tf, "no_such_thing")
    assert getattr(tf.train, "no_such_thing", None) is None


def test_the_list_of_tensorflows_names() -> None:
    names = names_of_tensorflow()
    assert {"", "nn", "train", "layers", "summary"} <= set(names)
    assert "placeholder" in names[""]
    assert is_tensorflows("nn.conv2d")
    assert not is_tensorflows("nn.conv2dd")
    assert is_here("nn.conv2d")
    assert is_here("nn.rnn_cell.GRUCell")
    assert not is_here("nn.conv4d")


# --- check ---------------------------------------------------------------------------------------------------------------


def test_check_lists_what_is_missing(tmp_path: Path) -> None:
    script = written(
        tmp_path / "a.py",
        """
        import tensorflow as tf
        from tensorflow.contrib import slim
        from tensorflow.nn import relu, conv4d
        x = tf.nn.relu(tf.constant(1.0)).op.name.anything
        y = tf.nn.conv2dd(x)
        z = other.nn.conv2dd(x)
        """,
    )
    done = command("check", script)
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert [line.split(":")[1] for line in lines] == ["3", "4", "6"]
    assert "slim" in lines[0]
    assert "conv4d" in lines[1]
    assert "tf.nn.conv2d" in lines[2]
    assert "tensorflow" not in sys.modules or sys.modules["tensorflow"].__name__ == "tensorflow"


def test_check_of_a_script_without_problems_and_of_no_script(tmp_path: Path) -> None:
    done = command("check", written(tmp_path / "a.py", "import tensorflow as tf\ntf.constant(1)\n"))
    assert (done.returncode, done.stdout) == (0, "All 2 uses of TensorFlow's names are here.\n")
    assert command("check", written(tmp_path / "b.py", "import (\n")).returncode == 2


def test_uses_are_found_behind_every_kind_of_import() -> None:
    source = b"""
import tensorflow
import tensorflow.compat.v1 as tf
from tensorflow import nn as layers, no_such
tensorflow.nope
tf.nope
layers.nope
"""
    problems = [use.line for use in uses_of_tensorflow(source, "script") if use.problem]
    assert problems == [4, 5, 6, 7]


# --- the digits of the tutorials -----------------------------------------------------------------------------------------


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


def test_input_data(tmp_path: Path) -> None:
    from tfgraph.aliases import input_data

    rng = np.random.RandomState(0)
    images, labels = rng.randint(0, 256, (20, 28, 28)).astype(np.uint8), (np.arange(20) % 10).astype(np.uint8)
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(images))
    (tmp_path / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(labels)))
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(idx(images[:5]))
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx(labels[:5]))
    digits = input_data.read_data_sets(tmp_path, one_hot=True, validation_size=4, seed=1)
    assert (digits.train.num_examples, digits.validation.num_examples, digits.test.num_examples) == (16, 4, 5)
    np.testing.assert_array_equal(digits.test.images, images[:5].reshape(5, 784) * np.float32(1 / 255))
    np.testing.assert_array_equal(digits.validation.labels, np.eye(10)[labels[:4]])
    # an epoch has every digit once, and the batch across its end the rest of it and the start of the next
    first = [digits.train.next_batch(6) for _ in range(3)]
    assert digits.train.epochs_completed == 1
    seen = np.concatenate([batch for batch, _ in first])[:16]
    assert len(np.unique(seen, axis=0)) == 16
    for batch, one_hot in first:
        for image, label in zip(batch, one_hot, strict=True):
            at = np.flatnonzero((images.reshape(20, 784) * np.float32(1 / 255) == image).all(1))
            assert labels[at[0]] == label.argmax()
    with pytest.raises(ValueError, match="more than the 16"):
        digits.train.next_batch(40)
    with pytest.raises(FileNotFoundError, match=r"t10k-images-idx3-ubyte.*TFGRAPH_DIGITS=sklearn"):
        input_data.read_data_sets(tmp_path / "elsewhere")


def test_input_data_of_scikit_learn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sklearn", reason="needs scikit-learn: pip install scikit-learn")
    from tfgraph.aliases import input_data

    monkeypatch.setenv("TFGRAPH_DIGITS", "sklearn")
    digits = input_data.read_data_sets(tmp_path, validation_size=100, reshape=False)
    assert digits.train.images.shape == (1398, 28, 28, 1)
    assert digits.test.num_examples == 299


# --- small modules -------------------------------------------------------------------------------------------------------


def test_era_puts_back_what_is_gone_and_leaves_the_rest() -> None:
    code = """
    import numpy as np, collections
    before = np.float64
    from tfgraph.aliases import era
    era.install()
    from collections import Iterable, Mapping
    import inspect
    assert np.Inf == float("inf") and np.unicode_ is np.str_ and np.float64 is before
    assert isinstance([], Iterable) and inspect.getargspec(lambda a, *b, c=1, **d: 0).args == ["a"]
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert callable(era.install)


def test_gfile(tmp_path: Path) -> None:
    path = str(tmp_path / "a" / "b.txt")
    with pytest.raises(tf.errors.NotFoundError):
        tf.gfile.Open(path).read()
    tf.gfile.MakeDirs(str(tmp_path / "a"))
    tf.gfile.MakeDirs(str(tmp_path / "a"))
    with pytest.raises(tf.errors.AlreadyExistsError):
        tf.gfile.MkDir(str(tmp_path / "a"))
    with tf.gfile.GFile(path, "w") as file:
        file.write("one\ntwo\n")
    assert tf.gfile.Exists(path)
    assert list(tf.gfile.FastGFile(path)) == ["one\n", "two\n"]
    assert tf.gfile.GFile(path, "rb").read() == b"one\ntwo\n"
    assert tf.gfile.GFile(path).size() == 8
    tf.gfile.Copy(path, path + "2")
    with pytest.raises(tf.errors.AlreadyExistsError):
        tf.gfile.Rename(path, path + "2")
    tf.gfile.Rename(path, path + "2", overwrite=True)
    assert tf.gfile.Glob(str(tmp_path / "a" / "*")) == [path + "2"]
    assert tf.gfile.ListDirectory(str(tmp_path / "a")) == ["b.txt2"]
    tf.gfile.DeleteRecursively(str(tmp_path / "a"))
    assert not tf.gfile.IsDirectory(str(tmp_path / "a"))


def test_logging(caplog: pytest.LogCaptureFixture) -> None:
    before = tf.logging.get_verbosity()
    try:
        tf.logging.set_verbosity(tf.logging.INFO)
        for _ in range(5):
            tf.logging.log_every_n(tf.logging.WARN, "every %d", 2, 2)
            tf.logging.log_first_n(tf.logging.INFO, "first", 2)
            tf.logging.debug("never")
    finally:
        tf.logging.set_verbosity(before)
    said = [record.getMessage() for record in caplog.records]
    assert sorted(said) == ["every 2"] * 3 + ["first"] * 2


def test_text_and_bytes() -> None:
    assert tf.compat.as_bytes("ä") == "ä".encode()
    assert tf.compat.as_str(b"a") == tf.compat.as_text("a") == "a"
    assert tf.compat.as_str_any(3) == "3"
    assert tf.compat.v1 is tf
    with pytest.raises(TypeError):
        tf.compat.as_bytes(3)


class TestOfTests(tf.test.TestCase):
    """`tf.test.TestCase` itself."""

    def test_comparisons(self) -> None:
        with self.session():
            self.assertAllClose(tf.constant([1.0, 2.0]), [1.0, 2.0 + 1e-7])
            self.assertAllEqual(tf.constant([1, 2]) + 1, [2, 3])
            self.assertNotAllClose([1.0], [1.1])
            self.assertAllClose({"a": [1.0, [2.0, 3.0]]}, {"a": [1.0, [2.0, 3.0]]})
            with self.assertRaisesOpError("must_be_fed"):
                self.evaluate(tf.placeholder(tf.float32, [], name="must_be_fed") + 1.0)

    def test_gradients(self) -> None:
        with self.session():
            x = tf.placeholder(tf.float64, [2, 3])
            weights = np.random.RandomState(0).randn(3, 2)
            y = tf.matmul(tf.tanh(x), tf.constant(weights))
            by_rule, by_steps = tf.test.compute_gradient(x, [2, 3], y, [2, 2])
            self.assertAllClose(by_rule, by_steps, 1e-5, 1e-6)
            assert tf.test.compute_gradient_error(x, [2, 3], y, [2, 2]) < 1e-5


def test_regularizers_and_xavier() -> None:
    with tf.Graph().as_default(), tf.Session() as sess:
        weights = np.random.RandomState(0).randn(4, 3).astype(np.float32)
        made = [
            tf.contrib.layers.l2_regularizer(0.5)(tf.constant(weights)),
            tf.contrib.layers.l1_regularizer(0.5)(tf.constant(weights)),
            tf.contrib.layers.l1_l2_regularizer(1.0, 2.0)(tf.constant(weights)),
        ]
        squares, sizes = (weights.astype(float) ** 2).sum(), np.abs(weights.astype(float)).sum()
        np.testing.assert_allclose(sess.run(made), [squares / 4, sizes / 2, sizes + squares], rtol=1e-6)
        values = sess.run(tf.contrib.layers.xavier_initializer(seed=1)([200, 100]))
        assert np.abs(values).max() <= np.sqrt(6 / 300)
        assert values.std() == pytest.approx(np.sqrt(2 / 300), rel=0.02)
        assert json.dumps(tf.contrib.layers.__all__)
        with pytest.raises(ValueError, match="integer"):
            tf.contrib.layers.l2_regularizer(1)


def test_the_page_about_compatibility_is_up_to_date() -> None:
    """`python -m tfgraph.aliases.compatibility` writes it anew."""
    from tfgraph.aliases.compatibility import PARTLY, page

    assert (Path(__file__).parent.parent / "docs" / "compatibility.md").read_text() == page()
    assert all(is_here(path) for path in PARTLY)


def test_an_error_shows_the_scripts_own_lines_only(tmp_path: Path) -> None:
    script = tmp_path / "unfed.py"
    lines = ["import tensorflow as tf", "x = tf.placeholder(tf.float32, name='x')", "print(tf.Session().run(x + 1.0))"]
    script.write_text("\n".join(lines))
    done = subprocess.run([sys.executable, "-m", "tfgraph", "run", str(script)], capture_output=True, text=True)
    assert done.returncode != 0
    told = done.stderr.partition("Caused by op 'x', defined at:\n")[2].partition("\n\n")[0]
    frames = [line.strip() for line in told.splitlines() if line.strip().startswith("File ")]
    assert frames == [f'File "{script}", line 2, in <module>']
