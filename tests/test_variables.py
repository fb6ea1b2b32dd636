"""Variables: what they are made of, how they are initialised, read, assigned, shared by name and scattered into."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import tfgraph as tf


@pytest.fixture(params=["interpreter", "compiled"])
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("TFGRAPH_BACKEND", request.param)
    return request.param


@pytest.fixture(autouse=True)
def graph() -> Iterator[tf.Graph]:
    with tf.Graph().as_default() as graph:
        yield graph


def nodes(graph: tf.Graph) -> list[tuple[str, str]]:
    return [(op.name, op.type) for op in graph.get_operations()]


# --- what a variable is -----------------------------------------------------------------------------------------------


def test_nodes_of_a_variable(graph: tf.Graph) -> None:
    v = tf.Variable(1.0)
    w = tf.Variable(tf.zeros([2]), name="w")
    assert nodes(graph) == [
        ("Variable/initial_value", "Const"),
        ("Variable", "VariableV2"),
        ("Variable/Assign", "Assign"),
        ("Variable/read", "Identity"),
        ("zeros", "Const"),
        ("w", "VariableV2"),
        ("w/Assign", "Assign"),
        ("w/read", "Identity"),
    ]
    assert (v.name, v.op.name, v.initializer.name, v.value().name) == (
        "Variable:0",
        "Variable",
        "Variable/Assign",
        "Variable/read:0",
    )
    assert v.dtype.name == "float32_ref"
    assert v.initial_value.op.name == "Variable/initial_value"
    assert w.get_shape().as_list() == [2]
    assert str(w) == repr(w) == "<tf.Variable 'w:0' shape=(2,) dtype=float32_ref>"
    assert v.graph is graph
    assert tf.Variable(1.0).name == "Variable_1:0"


def test_variables_behave_like_tensors(backend: str) -> None:
    v, w = tf.Variable([1.0, 2.0, 3.0]), tf.Variable([2.0, 2.0, 2.0])
    results = [
        v + 1.0,
        1.0 - v,
        v * w,
        w / v,
        v**2.0,
        -v,
        abs(v),
        v[1:],
        v > 1.5,
        np.float32([1, 1, 1]) * v,
        tf.matmul([v], [[x] for x in (1.0, 1.0, 1.0)]),
    ]
    expected = [
        [2, 3, 4],
        [0, -1, -2],
        [2, 4, 6],
        [2, 1, 2 / 3],
        [1, 4, 9],
        [-1, -2, -3],
        [1, 2, 3],
        [2, 3],
        [False, True, True],
        [1, 2, 3],
        [[6]],
    ]
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        for found, wanted in zip(sess.run(results), expected, strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-6)
    with pytest.raises(TypeError, match=r"^'Variable' object is not iterable\.$"):
        iter(v)
    v.note = 3
    assert (v == v, v == w, {v: 1}[v]) == (True, False, 1)


def test_collections_and_trainable() -> None:
    a = tf.Variable(1.0)
    b = tf.Variable(1.0, trainable=False)
    c = tf.Variable(1.0, collections=[tf.GraphKeys.LOCAL_VARIABLES], trainable=False)
    d = tf.Variable(1.0, collections=["mine"])
    assert tf.global_variables() == [a, b]
    assert tf.trainable_variables() == [a, d]
    assert tf.local_variables() == [c]
    assert tf.get_collection("mine") == [d]
    with pytest.raises(ValueError, match="must be a list, tuple, or set"):
        tf.Variable(1.0, collections="mine")


def test_constructor_errors() -> None:
    with pytest.raises(ValueError, match=r"initial_value must be specified\."):
        tf.Variable()
    with pytest.raises(
        ValueError, match=r'initial_value must have a shape specified: Tensor\("Placeholder:0", dtype=float32\)'
    ):
        tf.Variable(tf.placeholder(tf.float32))
    with pytest.raises(ValueError, match="The `constraint` argument must be a callable"):
        tf.Variable(1.0, constraint=3)


def test_initial_value_from_a_function(graph: tf.Graph, backend: str) -> None:
    v = tf.Variable(lambda: tf.fill([2], 3.0), name="v", dtype=tf.float32)
    assert v.initial_value.name == "v/Initializer/Fill:0"
    with tf.Session() as sess:
        sess.run(v.initializer)
        assert v.eval().tolist() == [3.0, 3.0]


# --- initialisation ---------------------------------------------------------------------------------------------------


def test_initializers() -> None:
    a, b = tf.Variable(1.0), tf.Variable(2.0)
    init = tf.global_variables_initializer()
    assert (init.name, init.type) == ("init", "NoOp")
    assert init.control_inputs == [a.initializer, b.initializer]
    assert tf.initialize_all_variables().name == "init_1"
    assert tf.variables_initializer([], name="none").control_inputs == []
    assert tf.local_variables_initializer().type == "NoOp"


def test_uninitialized_variables_stop_a_run(backend: str) -> None:
    v = tf.Variable(1.0, name="v")
    tripled, step = v * 3.0, v.assign_add(1.0)
    with tf.Session() as sess:
        for fetch, op in ((tripled, "v/read"), (step, "AssignAdd")):
            with pytest.raises(tf.errors.FailedPreconditionError, match="Attempting to use uninitialized value v") as caught:
                sess.run(fetch)
            assert caught.value.op.name == op
            assert caught.value.error_code == 9


def test_which_variables_are_initialized(backend: str) -> None:
    a, b = tf.Variable(1.0, name="a"), tf.Variable(2.0, name="b")
    tests = [tf.is_variable_initialized(a), tf.is_variable_initialized(b)]
    missing = tf.report_uninitialized_variables()
    assert missing.dtype is tf.string
    with tf.Session() as sess:
        assert sess.run(tests) == [False, False]
        assert sess.run(missing).tolist() == [b"a", b"b"]
        sess.run(b.initializer)
        assert sess.run(tests) == [False, True]
        assert sess.run(missing).tolist() == [b"a"]


def test_initial_values_that_depend_on_variables(backend: str) -> None:
    a = tf.Variable(tf.random_normal([3]), name="a")
    b = tf.Variable(a.initialized_value() * 2.0, name="b")
    c = tf.Variable(a * 3.0 + b, name="c")
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        first, second, third = sess.run([a, b, c])
        np.testing.assert_allclose(second, first * 2, rtol=1e-6)
        np.testing.assert_allclose(third, first * 5, rtol=1e-6)
        a.load([1.0, 2.0, 3.0])
        sess.run(c.initializer)  # b keeps its value
        np.testing.assert_allclose(sess.run(c), np.float32([3, 6, 9]) + second, rtol=1e-6)


def test_initialized_value(backend: str) -> None:
    v = tf.Variable(5.0)
    value = v.initialized_value()
    with tf.Session() as sess:
        assert sess.run(value) == 5.0
        v.load(7.0)
        assert sess.run(value) == 7.0


def test_load_needs_a_session() -> None:
    with pytest.raises(ValueError, match="default session"):
        tf.Variable(1.0).load(2.0)


# --- assignment -------------------------------------------------------------------------------------------------------


def test_assignments(backend: str) -> None:
    v = tf.Variable([1.0, 2.0])
    steps = [
        (v.assign([5.0, 6.0]), "Assign:0", [5, 6]),
        (v.assign_add([1.0, 1.0]), "AssignAdd:0", [6, 7]),
        (v.assign_sub([2.0, 0.0]), "AssignSub:0", [4, 7]),
        (tf.assign(v, [0.0, 1.0], name="put"), "put:0", [0, 1]),
        (tf.assign_add(v, v), "AssignAdd_1:0", [0, 2]),
        (tf.assign_sub(v, [1.0, 1.0]), "AssignSub_1:0", [-1, 1]),
    ]
    assert steps[0][0].op.inputs[1].name == "Assign/value:0"
    assert steps[0][0].dtype.name == "float32_ref"
    assert v.assign([1.0, 1.0], read_value=False).type == "Assign"
    with tf.Session() as sess:
        sess.run(v.initializer)
        for step, name, expected in steps:
            assert step.name == name
            assert sess.run(step).tolist() == expected
            assert sess.run(v).tolist() == expected


def test_assignments_chain(backend: str) -> None:
    v = tf.Variable(1.0)
    chained = tf.assign_add(tf.assign(v, 10.0), 5.0)
    with tf.Session() as sess:
        assert sess.run(chained) == 15.0


def test_assignment_errors(backend: str) -> None:
    v, x = tf.Variable([1.0, 2.0]), tf.placeholder(tf.float32, [None])
    with pytest.raises(
        ValueError,
        match=r"Dimension 0 in both shapes must be equal, but are 2 and 3\. Shapes are \[2\] and \[3\]\. for 'Assign'",
    ):
        v.assign([1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="Shapes must be equal rank, but are 1 and 0"):
        v.assign_add(1.0)
    with pytest.raises(TypeError, match="requires l-value input"):
        tf.assign(tf.constant(1.0), 2.0)
    with pytest.raises(TypeError, match="Expected float32, got 'a' of type 'str' instead"):
        v.assign(["a", "b"])
    late = v.assign(x)
    with tf.Session() as sess:
        sess.run(v.initializer)
        with pytest.raises(
            tf.errors.InvalidArgumentError,
            match=r"Assign requires shapes of both tensors to match\. lhs shape= \[2\] rhs shape= \[3\]",
        ):
            sess.run(late, {x: [1.0, 2.0, 3.0]})
        assert sess.run(late, {x: [3.0, 4.0]}).tolist() == [3.0, 4.0]


@pytest.mark.parametrize("dtype", [tf.float32, tf.float64, tf.int32, tf.int64, tf.bool])
def test_dtypes_of_variables(dtype: tf.DType, backend: str) -> None:
    values = np.array([1, 0, 1]).astype(dtype.as_numpy_dtype)
    v = tf.Variable(values)
    assert v.dtype.base_dtype is dtype
    with tf.Session() as sess:
        sess.run(v.initializer)
        assert sess.run(v).dtype == dtype.as_numpy_dtype
        assert sess.run(v).tolist() == values.tolist()


def test_scattered_updates(backend: str) -> None:
    start = np.arange(8, dtype=np.float32).reshape(4, 2)
    v = tf.Variable(start)
    indices, updates = tf.placeholder(tf.int32, [None]), tf.placeholder(tf.float32, [None, 2])
    kinds = {"ScatterUpdate": tf.scatter_update, "ScatterAdd": tf.scatter_add, "ScatterSub": tf.scatter_sub}
    steps = {name: kind(v, indices, updates) for name, kind in kinds.items()}
    where, what = np.array([3, 0, 3]), np.array([[1, 2], [3, 4], [5, 6]], np.float32)
    put, added, taken = start.copy(), start.copy(), start.copy()
    for row, values in zip(where, what, strict=True):
        put[row] = values
        added[row] += values
        taken[row] -= values
    with tf.Session() as sess:
        for (name, step), expected in zip(steps.items(), (put, added, taken), strict=True):
            assert step.name == f"{name}:0"
            sess.run(v.initializer)
            np.testing.assert_array_equal(sess.run(step, {indices: where, updates: what}), expected)
            np.testing.assert_array_equal(sess.run(v), expected)
        with pytest.raises(tf.errors.InvalidArgumentError, match=r"indices\[1\] = 4 is not in \[0, 4\)"):
            sess.run(steps["ScatterAdd"], {indices: [0, 4], updates: what[:2]})
    with pytest.raises(ValueError, match="Dimension 1 in both shapes must be equal"):
        tf.scatter_add(v, [0], [[1.0, 2.0, 3.0]])


# --- variable scopes --------------------------------------------------------------------------------------------------


def test_get_variable_nodes(graph: tf.Graph) -> None:
    with tf.variable_scope("layer"):
        w = tf.get_variable("w", [2, 3])
    assert nodes(graph)[-4:] == [
        ("layer/w/Initializer/random_uniform", "Add"),
        ("layer/w", "VariableV2"),
        ("layer/w/Assign", "Assign"),
        ("layer/w/read", "Identity"),
    ]
    assert w.name == "layer/w:0"


def test_scope_names() -> None:
    with tf.variable_scope("VS") as scope:
        assert tf.get_variable("a", []).name == "VS/a:0"
        assert tf.constant(1.0).name == "VS/Const:0"
        with tf.variable_scope("inner"):
            assert tf.get_variable("b", []).name == "VS/inner/b:0"
            assert tf.Variable(1.0, name="plain").name == "VS/inner/plain:0"
    with tf.variable_scope("VS", reuse=True):
        assert tf.get_variable("a", []).name == "VS/a:0"
        assert tf.constant(1.0).name == "VS_1/Const:0"
    with tf.variable_scope(scope, reuse=True) as again:
        assert again.name == "VS"
        assert again.original_name_scope == "VS/"
        assert tf.constant(1.0).name == "VS_2/Const:0"
    with tf.name_scope("ops_only"):
        assert tf.get_variable("c", []).name == "c:0"
    with tf.variable_scope("x"), tf.name_scope("y"):
        assert tf.get_variable("d", []).name == "x/d:0"
        assert tf.constant(1.0).name == "x/y/Const:0"
    assert tf.get_variable_scope().name == ""


def test_default_names_of_scopes() -> None:
    names = []
    for _ in range(2):
        with tf.variable_scope(None, default_name="dense") as scope:
            names.append((scope.name, tf.get_variable("kernel", []).name))
    with tf.variable_scope("outer"), tf.variable_scope(None, "dense") as scope:
        names.append((scope.name, tf.get_variable("kernel", []).name))
    assert names == [("dense", "dense/kernel:0"), ("dense_1", "dense_1/kernel:0"), ("outer/dense", "outer/dense/kernel:0")]


def test_reuse() -> None:
    with tf.variable_scope("a"):
        first = tf.get_variable("w", [2])
        with pytest.raises(
            ValueError,
            match=r"Variable a/w already exists, disallowed\. Did you mean to set reuse=True or reuse=tf\.AUTO_REUSE in "
            r"VarScope\? Originally defined at:",
        ) as caught:
            tf.get_variable("w", [2])
        assert "test_variables.py" in str(caught.value)
        tf.get_variable_scope().reuse_variables()
        assert tf.get_variable("w", [2]) is first
    with tf.variable_scope("a", reuse=True):
        assert tf.get_variable("w") is first
        with pytest.raises(
            ValueError,
            match=r"Variable a/missing does not exist, or was not created with tf\.get_variable\(\)\. Did you mean to set "
            r"reuse=tf\.AUTO_REUSE in VarScope\?",
        ):
            tf.get_variable("missing", [2])
        with pytest.raises(
            ValueError, match=r"Trying to share variable a/w, but specified shape \(3,\) and found shape \(2,\)\."
        ):
            tf.get_variable("w", [3])
        with pytest.raises(ValueError, match="specified dtype int32 and found dtype float32_ref"):
            tf.get_variable("w", [2], dtype=tf.int32)
        with tf.variable_scope("inner", reuse=False), pytest.raises(ValueError, match="does not exist"):
            tf.get_variable("b", [2])  # reuse is inherited
    with tf.variable_scope("b", reuse=tf.AUTO_REUSE):
        assert tf.get_variable("w", [2]) is tf.get_variable("w", [2])


def test_get_variable_arguments(backend: str) -> None:
    a = tf.get_variable("a", initializer=[1.0, 2.0])
    b = tf.get_variable("b", [3], initializer=tf.constant_initializer([1.0, 2.0]))
    c = tf.get_variable("c", [2], tf.int32)
    d = tf.get_variable("d", initializer=lambda: tf.ones([2]))
    e = tf.get_variable("e", [2], initializer=tf.ones_initializer, trainable=False)
    f = tf.get_variable("f", [2], initializer=lambda shape, dtype, partition_info: tf.fill(shape, 4.0))
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        values = [v.tolist() for v in sess.run([a, b, c, d, e, f])]
    assert values == [[1, 2], [1, 2, 2], [0, 0], [1, 1], [1, 1], [4, 4]]
    assert e not in tf.trainable_variables()
    assert tf.get_local_variable("g", [2]) in tf.local_variables()


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({}, r"Shape of a new variable \(w\) must be fully defined, but instead was <unknown>\."),
        ({"shape": [None, 2]}, r"must be fully defined, but instead was \(\?, 2\)\."),
        ({"shape": [2], "initializer": [1.0, 2.0]}, "If initializer is a constant, do not specify shape"),
        ({"dtype": tf.int32, "initializer": [1.0]}, "Initializer type .* and explicit dtype .* don't match"),
        ({"shape": [2], "dtype": tf.string}, "An initializer for variable w of <dtype: 'string'> is required"),
    ],
)
def test_get_variable_errors(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        tf.get_variable("w", **options)


def test_scope_errors() -> None:
    with pytest.raises(TypeError, match="If default_name is None then name_or_scope is required"):
        tf.variable_scope(None)
    with pytest.raises(TypeError, match="name_or_scope must be a string or VariableScope"):
        tf.variable_scope(3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="reuse=True cannot be used without a name_or_scope"):
        tf.variable_scope(None, "d", reuse=True)


def test_scopes_hand_on_their_defaults(backend: str) -> None:
    with tf.variable_scope(
        "s", initializer=tf.constant_initializer(2.0), regularizer=lambda v: tf.reduce_sum(v * v), dtype=tf.float64
    ):
        a = tf.get_variable("a", [3])
        with tf.variable_scope("t"):
            b = tf.get_variable("b", [2], initializer=tf.constant_initializer(3.0), regularizer=tf.no_regularizer)
    losses = tf.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES)
    assert [v.dtype.base_dtype for v in (a, b)] == [tf.float64, tf.float64]
    assert [loss.name for loss in losses] == ["s/a/Regularizer/Sum:0"]
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        assert sess.run(losses) == [12.0]


def test_custom_getters() -> None:
    calls = []

    def getter(getter: Any, name: str, *args: Any, **kwargs: Any) -> tf.Variable:
        calls.append(name)
        return getter(name, *args, **{**kwargs, "trainable": False})

    def outer(getter: Any, name: str, **kwargs: Any) -> tf.Variable:
        calls.append("outer " + name)
        return getter(name=name, **kwargs)

    with tf.variable_scope("s", custom_getter=outer), tf.variable_scope("t", custom_getter=getter):
        v = tf.get_variable("w", [2])
    assert calls == ["s/t/w", "outer s/t/w"]
    assert v.name == "s/t/w:0"
    assert tf.trainable_variables() == []


# --- initial values ---------------------------------------------------------------------------------------------------


def test_fans_and_limits(backend: str) -> None:
    """The spread of each initialiser, against the formulas of its paper."""
    shape = [5, 5, 40, 60]  # a convolution: 1000 inputs, 1500 outputs
    uniform = tf.get_variable("a", shape, initializer=tf.glorot_uniform_initializer(seed=1))
    normal = tf.get_variable("b", shape, initializer=tf.glorot_normal_initializer(seed=2))
    he = tf.get_variable("c", shape, initializer=tf.variance_scaling_initializer(2.0, seed=3))
    plain = tf.get_variable(
        "d", shape, initializer=tf.initializers.variance_scaling(1.0, "fan_out", "untruncated_normal", seed=4)
    )
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        a, b, c, d = (v.astype(np.float64) for v in sess.run([uniform, normal, he, plain]))
    limit = np.sqrt(6 / 2500)
    assert limit * 0.999 < np.abs(a).max() <= limit
    for values, variance in ((a, 2 / 2500), (b, 2 / 2500), (c, 2 / 1000), (d, 1 / 1500)):
        assert abs(values.mean()) < 5 * np.sqrt(variance / values.size)
        assert values.var() == pytest.approx(variance, rel=0.03)
    assert np.abs(b).max() <= 2 * np.sqrt(2 / 2500) / 0.87962566103423978 * (1 + 1e-6)


def test_initializer_errors() -> None:
    with pytest.raises(ValueError, match="`scale` must be positive"):
        tf.variance_scaling_initializer(0.0)
    with pytest.raises(ValueError, match="Invalid `mode` argument: fan"):
        tf.variance_scaling_initializer(mode="fan")
    with pytest.raises(ValueError, match="Invalid `distribution` argument: cauchy"):
        tf.variance_scaling_initializer(distribution="cauchy")
    with pytest.raises(TypeError, match="Invalid type for initial value"):
        tf.constant_initializer(object())
    with pytest.raises(ValueError, match="Too many elements provided"):
        tf.get_variable("w", [2], initializer=tf.constant_initializer([1.0, 2.0, 3.0]))


def test_equal_seeds_give_equal_values(backend: str) -> None:
    def values(seed: int) -> np.ndarray:
        with tf.Graph().as_default(), tf.Session() as sess:
            tf.set_random_seed(seed)
            w = tf.get_variable("w", [10])
            sess.run(w.initializer)
            return sess.run(w)

    assert values(3).tolist() == values(3).tolist()
    assert values(3).tolist() != values(4).tolist()
