"""Nets as scikit-learn estimators: `TFGraphClassifier` and `TFGraphRegressor` (extra `sklearn`).

They fit a net of dense layers, or one that a function builds, with Adam. The weights are NumPy arrays, so that an
estimator can be pickled; sessions are made when they are needed and belong to no estimator's state.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

try:
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
    from sklearn.utils import check_random_state
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError as error:
    raise ImportError(
        f"tfgraph.scikit needs scikit-learn 1.6 or newer ({error}): pip install 'tfgraph-compiler[sklearn]', or "
        f"pip install -e '.[sklearn]' in a checkout"
    ) from error

import tfgraph as tf

__all__ = ["TFGraphClassifier", "TFGraphRegressor"]

# build(x, outputs, training) -> [batch, outputs]
Build = Callable[[Any, int, Any], Any]

_predictors: weakref.WeakKeyDictionary[Any, tuple[dict[str, np.ndarray], Callable[[np.ndarray], np.ndarray]]]
_predictors = weakref.WeakKeyDictionary()


class _Net:
    """The graph of a net: inputs, outputs and, for training, a loss and a step."""

    def __init__(self, estimator: Any, features: int, outputs: int, seed: int) -> None:
        self.graph = tf.Graph()
        with self.graph.as_default():
            tf.set_random_seed(seed)
            self.x = tf.placeholder(tf.float32, [None, features], "x")
            self.training = tf.placeholder_with_default(False, [], "training")
            build = estimator.build or estimator._layers
            self.out = build(self.x, outputs, self.training)
            shape = self.out.shape.as_list()
            if shape != [None, outputs]:
                raise ValueError(f"build must return a tensor of shape [None, {outputs}], it returned one of shape {shape}")

    def train(self, estimator: Any, x: np.ndarray, targets: np.ndarray, order: Any) -> Any:
        """Fit; the variables' values and the loss of each epoch."""
        with self.graph.as_default():
            y = tf.placeholder(tf.float32, [None, targets.shape[1]], "y")
            loss = tf.reduce_mean(estimator._losses(y, self.out))
            if estimator.alpha:
                kernels = [v for v in tf.trainable_variables() if len(v.shape.as_list()) > 1]
                loss += estimator.alpha * tf.add_n([tf.nn.l2_loss(v) for v in kernels])
            with tf.control_dependencies(tf.get_collection(tf.GraphKeys.UPDATE_OPS)):
                step = tf.train.AdamOptimizer(estimator.learning_rate).minimize(loss)
            start = tf.global_variables_initializer()
        size, curve = min(int(estimator.batch_size), len(x)), []
        with tf.Session(graph=self.graph) as sess:
            sess.run(start)
            for epoch in range(estimator.epochs):
                at = order.permutation(len(x))
                losses = []
                for first in range(0, len(x), size):
                    rows = at[first : first + size]
                    feeds = {self.x: x[rows], y: targets[rows], self.training: True}
                    losses.append(sess.run([loss, step], feeds)[0])
                curve.append(float(np.mean(losses)))
                if estimator.verbose:
                    print(f"epoch {epoch + 1} of {estimator.epochs}: loss {curve[-1]:.6f}")
            with self.graph.as_default():
                variables = tf.global_variables()
            kept = [v for v in variables if "/Adam" not in v.op.name and v.op.name not in ("beta1_power", "beta2_power")]
            return {v.op.name: value for v, value in zip(kept, sess.run(kept), strict=True)}, curve

    def predictor(self, values: dict[str, np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
        """The net as a function of inputs."""
        sess = tf.Session(graph=self.graph)
        sess.set_state(values)
        return lambda x: sess.run(self.out, {self.x: x})


class _Estimator(BaseEstimator):
    """What both have in common."""

    def __init__(
        self,
        hidden_layer_sizes: Sequence[int] = (100,),
        activation: str = "relu",
        dropout: float = 0.0,
        alpha: float = 0.0,
        learning_rate: float = 1e-3,
        batch_size: int = 32,
        epochs: int = 50,
        build: Build | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.dropout = dropout
        self.alpha = alpha
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.epochs = epochs
        self.build = build
        self.random_state = random_state
        self.verbose = verbose

    def _layers(self, x: Any, outputs: int, training: Any) -> Any:
        """Dense layers with the activation, then one without."""
        activation = getattr(tf.nn, self.activation)
        for size in self.hidden_layer_sizes:
            x = tf.layers.dense(x, size, activation)
            if self.dropout:
                x = tf.layers.dropout(x, self.dropout, training=training)
        return tf.layers.dense(x, outputs)

    def _losses(self, y: Any, out: Any) -> Any:
        """The loss of each sample."""
        raise NotImplementedError

    def _fit(self, x: np.ndarray, targets: np.ndarray) -> None:
        if self.epochs < 1 or self.batch_size < 1:
            raise ValueError(f"epochs ({self.epochs}) and batch_size ({self.batch_size}) must be positive")
        order = check_random_state(self.random_state)
        seed = int(order.randint(1, np.iinfo(np.int32).max))
        net = _Net(self, x.shape[1], targets.shape[1], seed)
        self.weights_, self.loss_curve_ = net.train(self, x, targets, order)
        self.n_outputs_ = targets.shape[1]
        self.n_iter_ = self.epochs

    def _outputs(self, X: Any) -> np.ndarray:
        """The net's outputs, [samples, outputs]."""
        check_is_fitted(self)
        x = validate_data(self, X, dtype=np.float32, reset=False)
        found = _predictors.get(self)
        if found is None or found[0] is not self.weights_:
            net = _Net(self, x.shape[1], self.n_outputs_, 1)
            found = _predictors[self] = (self.weights_, net.predictor(self.weights_))
        return found[1](x)


class TFGraphClassifier(ClassifierMixin, _Estimator):
    """A net that chooses between classes.

    `build(x, outputs, training)` makes the net where dense layers are not enough: from a float32 tensor [None, features]
    and a bool tensor that is true while fitting, a tensor [None, classes] of logits. `alpha` weighs half the sum of the
    squares of all kernels. After `fit`: `classes_`, `weights_` (arrays by the variables' names), `loss_curve_` (one value
    an epoch).
    """

    def _losses(self, y: Any, out: Any) -> Any:
        return tf.nn.softmax_cross_entropy_with_logits_v2(labels=y, logits=out)

    def fit(self, X: Any, y: Any) -> TFGraphClassifier:
        """Fit to X [samples, features] and the classes y [samples]."""
        X, y = validate_data(self, X, y, dtype=np.float32)
        check_classification_targets(y)
        self.classes_, at = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"TFGraphClassifier needs at least two classes, and y has only one class: {self.classes_[0]!r}")
        self._fit(X, np.eye(len(self.classes_), dtype=np.float32)[at])
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """The probability of each class, [samples, classes]."""
        out = self._outputs(X).astype(np.float64)
        raised = np.exp(out - out.max(1, keepdims=True))
        return raised / raised.sum(1, keepdims=True)

    def predict(self, X: Any) -> np.ndarray:
        """The most probable class of each sample."""
        check_is_fitted(self)
        return self.classes_[self.predict_proba(X).argmax(1)]


class TFGraphRegressor(RegressorMixin, _Estimator):
    """A net that gives numbers, fitted to the least squared error; arguments as for TFGraphClassifier.

    Targets are brought to mean 0 and variance 1 for the net, and its outputs back.
    """

    def _losses(self, y: Any, out: Any) -> Any:
        return tf.reduce_mean(tf.square(out - y), axis=1)

    def fit(self, X: Any, y: Any) -> TFGraphRegressor:
        """Fit to X [samples, features] and y [samples] or [samples, outputs]."""
        X, y = validate_data(self, X, y, dtype=np.float32, multi_output=True, y_numeric=True)
        targets = np.asarray(y, np.float64).reshape(len(X), -1)
        self._shape = np.shape(y)[1:]
        self._mean, scale = targets.mean(0), targets.std(0)
        self._scale = np.where(scale == 0, 1, scale)
        self._fit(X, ((targets - self._mean) / self._scale).astype(np.float32))
        return self

    def predict(self, X: Any) -> np.ndarray:
        """The number (or numbers) for each sample."""
        out = self._outputs(X).astype(np.float64) * self._scale + self._mean
        return out.reshape(len(out), *self._shape)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
