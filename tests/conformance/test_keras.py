"""Keras 2.2.4 as it comes from PyPI, on this package and on TensorFlow: the same script, the same losses.

Keras 3, which TensorFlow brings along, is in the way, so the old one has a folder of its own: `make conformance` fills it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

KERAS = Path(sys.prefix) / "keras-2.2.4"
pytestmark = [
    pytest.mark.conformance,
    pytest.mark.skipif(
        not (KERAS / "keras").is_dir(),
        reason=f"needs Keras 2.2.4 in {KERAS.name} of this environment: `make conformance` installs it",
    ),
]

# Keras' own example, on digits that are at hand
SCRIPT = """
from __future__ import print_function
import json, sys
import numpy as np
np.random.seed(7)
import keras
from sklearn.datasets import load_digits
from keras.models import Sequential, load_model
from keras.layers import Dense, Dropout, Flatten, Conv2D, MaxPooling2D, BatchNormalization
from keras.callbacks import ModelCheckpoint, EarlyStopping
from keras import backend as K

digits = load_digits()
images = np.repeat(np.repeat(digits.images, 3, 1), 3, 2)[..., None].astype("float32") / 16
labels = keras.utils.to_categorical(digits.target, 10)
model = Sequential()
if sys.argv[1] == "cnn":
    model.add(Conv2D(16, kernel_size=(3, 3), activation="relu", input_shape=(24, 24, 1)))
    model.add(Conv2D(16, (3, 3), activation="relu"))
    model.add(MaxPooling2D(pool_size=(2, 2)))
    model.add(Dropout(0.25))
    model.add(Flatten())
    model.add(Dense(64, activation="relu"))
    model.add(Dropout(0.5))
    optimizer = keras.optimizers.SGD(lr=0.05, momentum=0.9, nesterov=True, clipnorm=100.0)
elif sys.argv[1] == "mlp":
    model.add(Flatten(input_shape=(24, 24, 1)))
    model.add(Dense(64, activation="relu"))
    model.add(Dropout(0.2))
    model.add(Dense(64, activation="tanh"))
    optimizer = keras.optimizers.RMSprop(clipnorm=100.0)
else:
    model.add(Conv2D(8, (3, 3), strides=2, input_shape=(24, 24, 1)))
    model.add(BatchNormalization())
    model.add(Flatten())
    model.add(Dense(32, activation="relu"))
    optimizer = keras.optimizers.Adam(clipnorm=1.0)  # the norm needs all gradients: see below
model.add(Dense(10, activation="softmax"))
model.compile(loss="categorical_crossentropy", optimizer=optimizer, metrics=["accuracy"])
callbacks = [ModelCheckpoint("best.h5", save_best_only=True), EarlyStopping(patience=5)]
history = model.fit(images[:1400], labels[:1400], batch_size=128, epochs=3, verbose=0, callbacks=callbacks,
                    validation_data=(images[1400:], labels[1400:]))
model.save("model.h5")
again = load_model("model.h5")
scores = [m.evaluate(images[1400:], labels[1400:], verbose=0) for m in (model, again)]
assert np.allclose(*scores), scores
print(json.dumps({k: [float(x) for x in v] for k, v in history.history.items()}))
"""

# TensorFlow of today as Keras 2.2.4 knew it
ON_TENSORFLOW = """
import runpy, sys
import tensorflow
import tensorflow.compat.v1 as v1
v1.disable_v2_behavior()
for name in dir(v1):
    if not name.startswith("__"):
        setattr(tensorflow, name, getattr(v1, name))
tensorflow.__version__ = "1.14.0"
from tensorflow.python.framework import ops, tensor
from tensorflow.python.ops import variables
ops._TensorLike = tensor.Tensor
ops.is_dense_tensor_like = lambda x: isinstance(x, (tensor.Tensor, variables.Variable))
del v1.Session.__mro__[1]._make_callable_from_options  # with it, Keras would pass on protos of other versions
for name in [name for name in sys.modules if name.split(".")[0] == "keras"]:
    del sys.modules[name]
from tfgraph.aliases import era
era.install()
sys.path.insert(0, sys.argv[1])
sys.argv = sys.argv[2:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def history(command: list[str], folder: Path, **env: str) -> dict[str, list[float]]:
    folder.mkdir()
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=folder, env={**os.environ, **env}, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("net", ["cnn", "mlp", "normalised"])
def test_scripts_train_alike(net: str, tmp_path: Path) -> None:
    pytest.importorskip("sklearn", reason="needs scikit-learn's digits: pip install scikit-learn")
    script, launcher = tmp_path / "script.py", tmp_path / "launcher.py"
    script.write_text(SCRIPT)
    launcher.write_text(ON_TENSORFLOW)
    path = os.pathsep.join([str(KERAS), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    # where a patch of an image is all zeros and biases still are, sums are exactly 0 only without Winograd, and the gradient of
    # ReLU goes by their sign: 2e-5 of the second loss
    own = {"PYTHONPATH": path, "TFGRAPH_CONV": "direct"}
    ours = history([sys.executable, "-m", "tfgraph", "run", str(script), net], tmp_path / "ours", **own)
    theirs = history(
        [sys.executable, str(launcher), str(KERAS), str(script), net], tmp_path / "theirs", TF_USE_LEGACY_KERAS="1"
    )
    assert ours.keys() == theirs.keys()
    # Keras assigns variables while other gradients may still read them, so TensorFlow's losses are not the same in every run
    # (5 % apart), unless something needs all gradients before the first assignment, as the clipping of norms does
    # with Adadelta at its rate of 1, the net with convolutions differs by 6 % from run to run of TensorFlow even so
    for key, near in (("loss", 1e-3), ("val_loss", 5e-3)):
        # 22 steps, then 11 more, which make much of a rounding
        np.testing.assert_allclose(ours[key][:2], theirs[key][:2], rtol=near)
        np.testing.assert_allclose(ours[key], theirs[key], rtol=0.05)
    np.testing.assert_allclose(ours["val_acc"], theirs["val_acc"], atol=0.02)
