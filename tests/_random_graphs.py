"""Random graphs: a hypothesis strategy that draws them as data, to be built on any module with TensorFlow's API.

Inputs are multiples of 1/8, so that sums, products with powers of two and moves of them are exact everywhere. An
operation with a kink (relu, max, ...) has a gradient that jumps; where a graph's gradients are wanted it is only applied
to such exact values, so that no rounding decides the side.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tests._random_moves import MOVES, Draw, Shape

BATCHES = (3, 1, 33)
MOST_STEPS = 9
MOST_ELEMENTS = 400  # of one sample of a value


@dataclass(frozen=True)
class Value:
    """What is known of an operand while a graph is drawn."""

    shape: Shape
    exact: bool  # no rounding so far

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def batched(self) -> bool:
        return None in self.shape

    @property
    def elements(self) -> int:
        return int(np.prod([d for d in self.shape if d is not None], dtype=int))


@dataclass(frozen=True)
class Step:
    """One call: `apply(tf, *operands)`. `said` is the call in words."""

    said: str
    apply: Callable[..., Any]
    operands: tuple[int, ...]


@dataclass(frozen=True)
class RandomGraph:
    """Inputs, the steps that follow them, and whether gradients are wanted too."""

    inputs: tuple[Shape, ...]
    steps: tuple[Step, ...]
    differentiated: bool

    def __repr__(self) -> str:
        lines = [f"v{i} = placeholder({list(shape)})" for i, shape in enumerate(self.inputs)]
        for i, step in enumerate(self.steps, start=len(self.inputs)):
            lines.append(f"v{i} = {step.said.format(*(f'v{j}' for j in step.operands))}")
        return "\n".join(["", *lines, "gradients too" if self.differentiated else "no gradients"])

    def build(self, tf: Any, dtype: str) -> tuple[list[Any], list[Any]]:
        """Placeholders, and what to fetch: the values that no step uses, and the gradients of a function of them."""
        inputs = [tf.placeholder(dtype, shape) for shape in self.inputs]
        values = list(inputs)
        for step in self.steps:
            values.append(step.apply(tf, *(values[i] for i in step.operands)))
        used = {i for step in self.steps for i in step.operands}
        fetches = [values[i] for i in range(len(inputs), len(values)) if i not in used]
        if self.differentiated:
            loss = tf.add_n([tf.reduce_sum(tf.square(tf.tanh(value))) for value in fetches])
            found = tf.gradients(loss, inputs)
            fetches += [tf.convert_to_tensor(gradient) for gradient in found if gradient is not None]
        return inputs, fetches

    def arrays(self, batch: int, dtype: str) -> list[np.ndarray]:
        """Values for the inputs: multiples of 1/8 in [-2, 2]."""
        rng = np.random.default_rng(batch)
        shapes = [[batch if d is None else d for d in shape] for shape in self.inputs]
        return [(rng.integers(-16, 17, shape) / 8).astype(dtype) for shape in shapes]


# --- drawing one step ---------------------------------------------------------------------------------------------------

Choice = tuple[str, Callable[..., Any], tuple[int, ...], Value]  # said, apply, operands, the result
Chooser = Callable[[Draw, Sequence[Value], bool], Choice | None]


def _pick(draw: Draw, values: Sequence[Value], fits: Callable[[Value], bool]) -> int | None:
    """The number of a value that fits; the later ones more often, so that chains grow."""
    fitting = [i for i, value in enumerate(values) if fits(value)]
    return None if not fitting else fitting[-1 - draw(st.integers(0, len(fitting) - 1))]


SMOOTH: dict[str, Callable[[Any, Any], Any]] = {
    "tanh": lambda tf, x: tf.tanh(x),
    "sigmoid": lambda tf, x: tf.sigmoid(x),
    "softplus": lambda tf, x: tf.nn.softplus(x),
    "square of half": lambda tf, x: tf.square(x * 0.5),
    "exp of tanh": lambda tf, x: tf.exp(tf.tanh(x)),
    "sqrt of 1/2 + square": lambda tf, x: tf.sqrt(tf.square(x) + 0.5),
    "log of 1/2 + square": lambda tf, x: tf.log(x * x + 0.5),
    "rsqrt of 1 + square": lambda tf, x: tf.rsqrt(1.0 + x * x),
    "sin": lambda tf, x: tf.sin(x),
    "cos": lambda tf, x: tf.cos(x),
    "erf": lambda tf, x: tf.erf(x),
    "atan": lambda tf, x: tf.atan(x),
    "expm1 of sin": lambda tf, x: tf.expm1(tf.sin(x)),
    "log1p of square": lambda tf, x: tf.log1p(tf.square(x)),
    "power 3 of tanh": lambda tf, x: tf.tanh(x) ** 3.0,
    "reciprocal of 1 + square": lambda tf, x: 1.0 / (1.0 + tf.square(x)),
    "selu of sigmoid": lambda tf, x: tf.nn.selu(tf.sigmoid(x)),
}
KINKED: dict[str, Callable[[Any, Any], Any]] = {
    "relu": lambda tf, x: tf.nn.relu(x),
    "relu6": lambda tf, x: tf.nn.relu6(x),
    "abs": lambda tf, x: tf.abs(x),
    "elu": lambda tf, x: tf.nn.elu(x),
    "leaky relu": lambda tf, x: tf.nn.leaky_relu(x, 0.25),
    "softsign": lambda tf, x: tf.nn.softsign(x),
    "clipped": lambda tf, x: tf.clip_by_value(x, -0.75, 1.0),
    "where positive": lambda tf, x: tf.where(x > 0.0, x, 0.5 * x),
}
AFFINE: dict[str, Callable[[Any, Any], Any]] = {
    "negative": lambda tf, x: -x,
    "half plus": lambda tf, x: x * 0.5 + 0.25,
    "1 minus": lambda tf, x: 1.0 - x,
    "identity": lambda tf, x: tf.identity(x),
    "stopped": lambda tf, x: x + tf.stop_gradient(x),
    "minus a quarter": lambda tf, x: (x - 0.25) / 2.0,
}


def _one(table: dict[str, Callable[[Any, Any], Any]], kinked: bool, exact: bool) -> Chooser:
    def choose(draw: Draw, values: Sequence[Value], differentiated: bool) -> Choice | None:
        i = _pick(draw, values, lambda v: v.exact or not (kinked and differentiated))
        if i is None:
            return None
        name = draw(st.sampled_from(sorted(table)))
        return f"{name}({{}})", table[name], (i,), Value(values[i].shape, exact and values[i].exact)

    return choose


def _broadcast(a: Shape, b: Shape) -> Shape | None:
    """The shape of a + b, or None if they do not fit for every batch."""
    rank = max(len(a), len(b))
    result: list[int | None] = []
    for x, y in zip((1,) * (rank - len(a)) + a, (1,) * (rank - len(b)) + b, strict=True):
        if x != y and 1 not in (x, y):
            return None
        result.append(y if x == 1 else x)
    return None if None in result[1:] else tuple(result)


BINARY: dict[str, tuple[Callable[..., Any], bool]] = {  # how, and whether it has a kink
    "+": (lambda tf, x, y: x + y, False),
    "-": (lambda tf, x, y: x - y, False),
    "halved product": (lambda tf, x, y: x * y * 0.5, False),
    "squared difference / 4": (lambda tf, x, y: tf.squared_difference(x, y) * 0.25, False),
    "/ (1 + square)": (lambda tf, x, y: x / (1.0 + tf.square(y)), False),
    "maximum": (lambda tf, x, y: tf.maximum(x, y), True),
    "minimum": (lambda tf, x, y: tf.minimum(x, y), True),
}
ROUNDED = ("/ (1 + square)", "halved product", "squared difference / 4")


def _two(draw: Draw, values: Sequence[Value], differentiated: bool) -> Choice | None:
    name = draw(st.sampled_from(sorted(BINARY)))
    apply, kinked = BINARY[name]
    usable = [v.exact or not (kinked and differentiated) for v in values]
    i = _pick(draw, values, lambda v: usable[values.index(v)])
    if i is None:
        return None
    j = _pick(draw, values, lambda v: usable[values.index(v)] and _broadcast(values[i].shape, v.shape) is not None)
    if j is None:
        return None
    shape = _broadcast(values[i].shape, values[j].shape)
    assert shape is not None
    exact = values[i].exact and values[j].exact and name not in ROUNDED
    return f"{{}} {name} {{}}", apply, (i, j), Value(shape, exact)


def _reduce(draw: Draw, values: Sequence[Value], differentiated: bool) -> Choice | None:
    how = draw(st.sampled_from(["sum", "mean", "max", "min", "logsumexp", "prod"]))
    i = _pick(draw, values, lambda v: v.rank > 0 and (v.exact or how not in ("max", "min") or not differentiated))
    if i is None:
        return None
    value = values[i]
    axes = sorted(draw(st.sets(st.integers(0, value.rank - 1), min_size=1)))
    keep = draw(st.booleans())

    def apply(tf: Any, x: Any) -> Any:
        x = tf.sigmoid(x) + 0.5 if how == "prod" else x * 0.25 if how == "sum" else x
        return getattr(tf, f"reduce_{how}")(x, axis=axes, keepdims=keep)

    kept = [1 if a in axes else d for a, d in enumerate(value.shape) if keep or a not in axes]
    exact = value.exact and how in ("max", "min")
    return f"reduce_{how}({{}}, {axes}, keepdims={keep})", apply, (i,), Value(tuple(kept), exact)


def _weights(*shape: int) -> np.ndarray:
    """Some numbers between -1/2 and 1/2."""
    return np.cos(np.arange(np.prod(shape)) * 1.7).reshape(shape) / 2


def _product(draw: Draw, values: Sequence[Value], differentiated: bool) -> Choice | None:
    i = _pick(draw, values, lambda v: v.rank == 2 and v.shape[1] is not None)
    if i is None:
        return None
    rows, columns = values[i].shape
    how = draw(st.sampled_from(["weights", "transposed weights", "itself"]))
    if how == "itself" and (rows is None or rows * rows > MOST_ELEMENTS):
        how = "weights"
    n = draw(st.integers(1, 6))
    applies: dict[str, Callable[[Any, Any], Any]] = {
        "weights": lambda tf, x: tf.matmul(x, tf.constant(_weights(columns, n), x.dtype)) + tf.constant(_weights(n), x.dtype),
        "transposed weights": lambda tf, x: tf.matmul(x, tf.constant(_weights(n, columns), x.dtype), transpose_b=True),
        "itself": lambda tf, x: tf.matmul(x, x, transpose_b=True) * 0.25,
    }
    said = f"matmul({{}}, {how} {n})"
    return said, applies[how], (i,), Value((rows, rows if how == "itself" else n), False)


def _softmax(draw: Draw, values: Sequence[Value], differentiated: bool) -> Choice | None:
    i = _pick(draw, values, lambda v: v.rank > 0 and v.shape[-1] is not None)
    if i is None:
        return None
    name = draw(st.sampled_from(["softmax", "log_softmax"]))
    return f"{name}({{}})", lambda tf, x: getattr(tf.nn, name)(x), (i,), Value(values[i].shape, False)


def _loss(draw: Draw, values: Sequence[Value], differentiated: bool) -> Choice | None:
    i = _pick(draw, values, lambda v: v.rank == 2 and v.shape[1] is not None)
    if i is None:
        return None

    def apply(tf: Any, x: Any) -> Any:
        return tf.nn.softmax_cross_entropy_with_logits(labels=tf.nn.softmax(tf.stop_gradient(x) * 0.5), logits=x)

    return "cross_entropy({})", apply, (i,), Value(values[i].shape[:1], False)


def _move(draw: Draw, values: Sequence[Value], differentiated: bool) -> Choice | None:
    """Transposes, reshapes, slices, pads and the like: nothing is computed."""
    i = _pick(draw, values, lambda v: v.rank > 0)
    if i is None:
        return None
    said, apply, shape = draw(st.sampled_from(MOVES))(draw, values[i].shape)
    return None if None in shape[1:] else (said, apply, (i,), Value(shape, values[i].exact))


def _join(draw: Draw, values: Sequence[Value], differentiated: bool) -> Choice | None:
    i = _pick(draw, values, lambda v: v.rank > 0)
    if i is None:
        return None
    shape = values[i].shape
    axis = draw(st.sampled_from([a for a, d in enumerate(shape) if d is not None] or [-1]))
    if axis < 0:
        return None

    def fits(other: Value) -> bool:
        others = other.shape
        if len(others) != len(shape) or others[axis] is None:
            return False
        return all(a == b for k, (a, b) in enumerate(zip(shape, others, strict=True)) if k != axis)

    j = _pick(draw, values, fits)
    assert j is not None  # a value fits itself
    exact = values[i].exact and values[j].exact
    if values[j].shape == shape and draw(st.booleans()):
        stacked = (*shape[: axis + 1], 2, *shape[axis + 1 :])
        return f"stack([{{}}, {{}}], {axis + 1})", lambda tf, x, y: tf.stack([x, y], axis + 1), (i, j), Value(stacked, exact)
    joined = (*shape[:axis], shape[axis] + values[j].shape[axis], *shape[axis + 1 :])  # type: ignore[operator]
    return f"concat([{{}}, {{}}], {axis})", lambda tf, x, y: tf.concat([x, y], axis), (i, j), Value(joined, exact)


def _window(draw: Draw, values: Sequence[Value], differentiated: bool) -> Choice | None:
    kind = draw(st.sampled_from(["conv2d", "max_pool", "avg_pool"]))
    kinked = kind == "max_pool"
    i = _pick(draw, values, lambda v: v.rank == 4 and None not in v.shape[1:] and (v.exact or not (kinked and differentiated)))
    if i is None:
        return None
    images, height, width, channels = values[i].shape
    size, stride = draw(st.sampled_from([(1, 1), (2, 1), (2, 2), (3, 1), (3, 2)]))
    padding = draw(st.sampled_from(["SAME", "VALID"]))
    lengths = [-(-d // stride) if padding == "SAME" else (d - size) // stride + 1 for d in (height, width)]  # type: ignore[operator]
    if min(lengths) < 1:
        return None
    said = f"{kind}({{}}, {size}, {stride}, {padding})"
    strides = [1, stride, stride, 1]
    if kind == "conv2d":
        filters = draw(st.integers(1, 5))
        w = _weights(size, size, channels, filters)  # type: ignore[arg-type]
        shape = (images, *lengths, filters)
        return said, lambda tf, x: tf.nn.conv2d(x, tf.constant(w, x.dtype), strides, padding), (i,), Value(shape, False)
    shape = (images, *lengths, channels)

    def pool(tf: Any, x: Any) -> Any:
        return getattr(tf.nn, kind)(x, [1, size, size, 1], strides, padding)

    return said, pool, (i,), Value(shape, kinked and values[i].exact)


def _compare(draw: Draw, values: Sequence[Value], differentiated: bool) -> Choice | None:
    """Comparisons, places of the largest, roundings: of exact values only, since they jump."""
    i = _pick(draw, values, lambda v: v.exact and v.rank > 0 and v.shape[-1] is not None)
    if i is None:
        return None
    shape = values[i].shape
    # no two elements are equal: TensorFlow takes argmax(x) for argmax(f(x)) where f is monotonic, though f may make equals
    ramp = np.arange(shape[-1]) / 1024  # type: ignore[arg-type]

    def argmax(tf: Any, x: Any) -> Any:
        return tf.cast(tf.argmax(x + tf.constant(ramp, x.dtype), len(shape) - 1), x.dtype) * 0.25

    table: dict[str, tuple[Callable[[Any, Any], Any], Shape]] = {
        "greater": (lambda tf, x: tf.cast(tf.greater(x, 0.25), x.dtype), shape),
        "argmax": (argmax, shape[:-1]),
        "floor": (lambda tf, x: tf.floor(x) * 0.5, shape),
        "round": (lambda tf, x: tf.round(x) * 0.5, shape),
        "sign": (lambda tf, x: tf.sign(x), shape),
        "count": (lambda tf, x: tf.reduce_sum(tf.to_int32(x > 0.0), -1), shape[:-1]),
    }
    name = draw(st.sampled_from(sorted(table)))
    apply, result = table[name]
    if name == "count":
        return "count({})", lambda tf, x: tf.cast(apply(tf, x), x.dtype) * 0.125, (i,), Value(result, True)
    return f"{name}({{}})", apply, (i,), Value(result, True)


def _scan(draw: Draw, values: Sequence[Value], differentiated: bool) -> Choice | None:
    i = _pick(draw, values, lambda v: v.rank > 0 and v.shape[-1] is not None)
    if i is None:
        return None
    exclusive, reverse = draw(st.booleans()), draw(st.booleans())

    def apply(tf: Any, x: Any) -> Any:
        return tf.cumsum(x * 0.25, axis=-1, exclusive=exclusive, reverse=reverse)

    return f"cumsum({{}}, {exclusive}, {reverse})", apply, (i,), Value(values[i].shape, False)


CHOOSERS: list[Chooser] = [
    *[_one(SMOOTH, kinked=False, exact=False)] * 3,
    *[_one(KINKED, kinked=True, exact=False)] * 2,
    _one(AFFINE, kinked=False, exact=False),
    *[_two] * 4,
    *[_reduce] * 2,
    *[_product] * 3,
    *[_window] * 3,
    *[_move] * 4,
    *[_join] * 2,
    _softmax,
    _loss,
    _compare,
    _scan,
]


@st.composite
def graphs(draw: Draw) -> RandomGraph:
    """A graph with one to three inputs, at least one of them with a batch, and a few steps."""
    differentiated = draw(st.booleans())
    small = st.integers(1, 6)
    shapes: list[Shape] = [draw(st.sampled_from([(None, draw(small)), (None, 5, 4, draw(st.integers(1, 3)))]))]
    for _ in range(draw(st.integers(0, 2))):
        inner = tuple(draw(st.lists(small, max_size=2)))
        shapes.append((None, *inner) if draw(st.booleans()) else inner)
    values = [Value(shape, True) for shape in shapes]
    steps: list[Step] = []
    for _ in range(draw(st.integers(2, MOST_STEPS))):
        choice = draw(st.sampled_from(CHOOSERS))(draw, values, differentiated)
        if choice is not None and choice[3].elements <= MOST_ELEMENTS and choice[3].rank <= 5:
            said, apply, operands, value = choice
            steps.append(Step(said, apply, operands))
            values.append(value)
    if not steps:
        steps.append(Step("tanh({})", SMOOTH["tanh"], (0,)))
    return RandomGraph(tuple(shapes), tuple(steps), differentiated)


# --- running ------------------------------------------------------------------------------------------------------------


def run_all(tf: Any, drawn: Sequence[RandomGraph], dtype: str, batches: Sequence[int] = BATCHES) -> list[list[list[np.ndarray]]]:
    """What the graphs give, one list for each batch size and graph. All are parts of one graph and of each run."""
    with tf.Graph().as_default():
        built = [graph.build(tf, dtype) for graph in drawn]
        results = []
        with tf.Session() as session:
            for batch in batches:
                feeds = {}
                for graph, (inputs, _) in zip(drawn, built, strict=True):
                    feeds.update(zip(inputs, graph.arrays(batch, dtype), strict=True))
                results.append(session.run([fetches for _, fetches in built], feeds))
        return results


def differences(
    drawn: Sequence[RandomGraph], ours: list[list[list[np.ndarray]]], theirs: list[list[list[np.ndarray]]], relative: float
) -> list[str]:
    """The graphs whose values differ by more than `relative` times the largest element, with what was seen."""
    wrong = []
    for batch, run, other in zip(BATCHES, ours, theirs, strict=True):
        for graph, values, expected in zip(drawn, run, other, strict=True):
            for k, (a, b) in enumerate(zip(values, expected, strict=True)):
                a, b = np.asarray(a), np.asarray(b)
                if a.shape != b.shape or a.dtype != b.dtype:
                    wrong.append(f"batch {batch}, result {k}: {a.dtype}{a.shape}, not {b.dtype}{b.shape}{graph}")
                elif not np.allclose(a, b, rtol=relative, atol=relative * (1 + np.abs(b).max(initial=0)), equal_nan=True):
                    wrong.append(f"batch {batch}, result {k}: {np.abs(a - b).max():.1e} apart of {np.abs(b).max():.1e}{graph}")
    return wrong
