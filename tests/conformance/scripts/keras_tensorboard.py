"""Keras logs a training for TensorBoard, with histograms of weights and gradients, and profiles its steps."""

import json
import sys

import keras
import numpy as np
import tensorflow as tf
from keras.layers import Dense
from keras.models import Sequential
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorflow.python.client import timeline

folder = sys.argv[1]
run_metadata = tf.RunMetadata()
model = Sequential(
    [Dense(16, activation="relu", input_shape=(8,), name="hidden"), Dense(3, activation="softmax", name="out")]
)
model.compile(
    "adam",
    "categorical_crossentropy",
    metrics=["accuracy"],
    options=tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE),
    run_metadata=run_metadata,
)
rng = np.random.default_rng(0)
x, y = rng.random((64, 8)), np.eye(3)[rng.integers(0, 3, 64)]
board = keras.callbacks.TensorBoard(folder, histogram_freq=1, write_graph=True, write_grads=True)
model.fit(x, y, epochs=2, batch_size=32, verbose=0, validation_data=(x, y), callbacks=[board])

found = EventAccumulator(folder)
found.Reload()
trace = json.loads(timeline.Timeline(run_metadata.step_stats).generate_chrome_trace_format())
print(json.dumps([found.Tags(), [event["name"] for event in trace["traceEvents"]], len(found.Scalars("val_loss"))]))
