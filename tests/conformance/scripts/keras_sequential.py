"""Keras 2 on scikit-learn's digits: callbacks, saving and loading; a line of JSON for each net, its losses of every epoch.

    keras_sequential.py NET ...        mnist_cnn, cnn, mlp, normalised
"""

from __future__ import print_function

import json
import sys

import numpy as np

import keras
from keras.callbacks import EarlyStopping, ModelCheckpoint
from keras.layers import BatchNormalization, Conv2D, Dense, Dropout, Flatten, MaxPooling2D
from keras.models import Sequential, load_model
from sklearn.datasets import load_digits

# an optimizer that clips the norm needs all gradients before it assigns the first variable; without that Keras' assignments
# race with the reading of other gradients, and TensorFlow's losses differ from run to run by 5 %
CLIPPED = {"clipnorm": 100.0}

digits = load_digits()
images = np.repeat(np.repeat(digits.images, 3, 1), 3, 2)[..., None].astype("float32") / 16
labels = keras.utils.to_categorical(digits.target, 10)


def trained(net):
    # each as in a process of its own
    keras.backend.clear_session()
    np.random.seed(7)
    model = Sequential()
    if net == "mnist_cnn":
        model.add(Conv2D(32, kernel_size=(3, 3), activation="relu", input_shape=(24, 24, 1)))
        model.add(Conv2D(64, (3, 3), activation="relu"))
        model.add(MaxPooling2D(pool_size=(2, 2)))
        model.add(Dropout(0.25))
        model.add(Flatten())
        model.add(Dense(128, activation="relu"))
        model.add(Dropout(0.5))
        optimizer = keras.optimizers.Adadelta(**CLIPPED)
    elif net == "cnn":
        model.add(Conv2D(16, kernel_size=(3, 3), activation="relu", input_shape=(24, 24, 1)))
        model.add(Conv2D(16, (3, 3), activation="relu"))
        model.add(MaxPooling2D(pool_size=(2, 2)))
        model.add(Dropout(0.25))
        model.add(Flatten())
        model.add(Dense(64, activation="relu"))
        model.add(Dropout(0.5))
        optimizer = keras.optimizers.SGD(lr=0.05, momentum=0.9, nesterov=True, **CLIPPED)
    elif net == "mlp":
        model.add(Flatten(input_shape=(24, 24, 1)))
        model.add(Dense(64, activation="relu"))
        model.add(Dropout(0.2))
        model.add(Dense(64, activation="tanh"))
        optimizer = keras.optimizers.RMSprop(**CLIPPED)
    else:
        # without a bias, whose gradient before a normalisation is 0 but for rounding, which Adam makes steps of its full rate of
        model.add(Conv2D(8, (3, 3), strides=2, use_bias=False, input_shape=(24, 24, 1)))
        model.add(BatchNormalization())
        model.add(Flatten())
        model.add(Dense(32, activation="relu"))
        optimizer = keras.optimizers.Adam(clipnorm=1.0)
    model.add(Dense(10, activation="softmax"))
    model.compile(loss="categorical_crossentropy", optimizer=optimizer, metrics=["accuracy"])
    callbacks = [ModelCheckpoint("best.h5", save_best_only=True), EarlyStopping(patience=5)]
    history = model.fit(
        images[:1400], labels[:1400], batch_size=128, epochs=3, verbose=0, callbacks=callbacks,
        validation_data=(images[1400:], labels[1400:]),
    )
    model.save("model.h5")
    again = load_model("model.h5")
    scores = [m.evaluate(images[1400:], labels[1400:], verbose=0) for m in (model, again)]
    assert np.allclose(*scores), scores
    return {k: [float(x) for x in v] for k, v in history.history.items()}


for net in sys.argv[1:]:
    print(json.dumps(trained(net)))
