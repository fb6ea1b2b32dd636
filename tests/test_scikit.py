"""Estimators of `tfgraph.scikit` under scikit-learn's own checks, in pipelines and searches, pickled."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.6", reason="needs scikit-learn 1.6: pip install scikit-learn")

from sklearn.datasets import load_iris, make_regression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

import tfgraph as tf
from tfgraph.scikit import TFGraphClassifier, TFGraphRegressor

IRIS = load_iris(return_X_y=True)
QUICK: dict[str, Any] = {"hidden_layer_sizes": (16,), "epochs": 40, "learning_rate": 0.02, "random_state": 0}
ESTIMATORS = [TFGraphClassifier(**QUICK), TFGraphRegressor(**QUICK)]


@pytest.fixture(autouse=True)
def quickly_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program for every shape that scikit-learn thinks of: to optimise them takes half of the time."""
    monkeypatch.setenv("TFGRAPH_CFLAGS", "-O1")


@pytest.mark.xdist_group("scikit")
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=["classifier", "regressor"])
def test_scikit_learns_own_checks(estimator: Any) -> None:
    results = check_estimator(estimator, on_skip=None, on_fail=None)
    failed = [f"{one['check_name']}: {one['exception']!r}" for one in results if one["status"] == "failed"]
    assert not failed
    assert sum(one["status"] == "passed" for one in results) > 40


def test_classifier() -> None:
    scores = cross_val_score(make_pipeline(StandardScaler(), TFGraphClassifier(**QUICK)), *IRIS, cv=3)
    assert scores.mean() > 0.93
    model = TFGraphClassifier(**QUICK).fit(IRIS[0], np.array(["a", "b", "c"])[IRIS[1]])
    assert set(model.predict(IRIS[0])) <= {"a", "b", "c"}
    np.testing.assert_allclose(model.predict_proba(IRIS[0]).sum(1), 1)
    assert model.loss_curve_[-1] < model.loss_curve_[0] / 2
    # the net's outputs, computed by hand
    w = {name: value.astype(float) for name, value in model.weights_.items()}
    hidden = np.maximum(IRIS[0] @ w["dense/kernel"] + w["dense/bias"], 0)
    logits = hidden @ w["dense_1/kernel"] + w["dense_1/bias"]
    np.testing.assert_array_equal(model.predict(IRIS[0]), model.classes_[logits.argmax(1)])


def test_regressor() -> None:
    x, y = make_regression(200, 5, n_informative=3, noise=1.0, random_state=0)
    model = TFGraphRegressor(**QUICK).fit(x, y)
    assert model.score(x, y) > 0.97
    both = TFGraphRegressor(**QUICK).fit(x, np.stack([y, -y], 1))
    assert both.predict(x).shape == (200, 2)


def test_random_state_decides_everything() -> None:
    one, two = (TFGraphClassifier(dropout=0.3, **QUICK).fit(*IRIS) for _ in range(2))
    other = TFGraphClassifier(dropout=0.3, **{**QUICK, "random_state": 1}).fit(*IRIS)
    for name, value in one.weights_.items():
        np.testing.assert_array_equal(value, two.weights_[name])
    assert any(not np.array_equal(value, other.weights_[name]) for name, value in one.weights_.items())


def test_pickle_and_search() -> None:
    search = GridSearchCV(TFGraphClassifier(**{**QUICK, "epochs": 5}), {"hidden_layer_sizes": [(4,), (16,)]}, cv=2)
    model = search.fit(*IRIS).best_estimator_
    expected = model.predict_proba(IRIS[0])
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba(IRIS[0]), expected)


def convolutions(x: Any, outputs: int, training: Any) -> Any:
    images = tf.reshape(x, [-1, 2, 2, 1])
    h = tf.layers.conv2d(images, 8, 2, padding="same", activation=tf.nn.relu)
    h = tf.layers.batch_normalization(h, training=training)
    return tf.layers.dense(tf.layers.flatten(h), outputs)


def test_a_net_of_ones_own() -> None:
    model = TFGraphClassifier(build=convolutions, epochs=60, learning_rate=0.01, random_state=0).fit(*IRIS)
    assert model.score(*IRIS) > 0.9
    assert "batch_normalization/moving_mean" in model.weights_


def test_wrong_arguments() -> None:
    with pytest.raises(ValueError, match="must be positive"):
        TFGraphClassifier(epochs=0).fit(*IRIS)
    with pytest.raises(ValueError, match=r"build must return a tensor of shape \[None, 3\]"):
        TFGraphClassifier(build=lambda x, outputs, training: x).fit(*IRIS)
