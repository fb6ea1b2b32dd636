"""Two branches that are merged, in Keras' functional way, with a session, a loss and a layer of plain TensorFlow."""
import numpy as np
import tensorflow as tf

np.random.seed(3)

import keras.backend as K
from keras.callbacks import LambdaCallback, ReduceLROnPlateau
from keras.layers import Activation, Concatenate, Conv2D, Dense, Dropout, GlobalAveragePooling2D, Input, Lambda
from keras.layers import LeakyReLU, MaxPooling2D, add
from keras.models import Model
from keras.optimizers import Adam
from keras.regularizers import l2
from keras.utils import to_categorical
from sklearn.datasets import load_digits

config = tf.ConfigProto(allow_soft_placement=True)
config.gpu_options.allow_growth = True
session = tf.Session(config=config)
K.set_session(session)
tf.set_random_seed(3)

digits = load_digits()
x = (digits.images[..., np.newaxis] / 8.0 - 1.0).astype('float32')
y = to_categorical(digits.target)


def block(tensor, filters):
    """Two convolutions beside a shortcut."""
    out = Conv2D(filters, 3, padding='same', kernel_regularizer=l2(1e-4))(tensor)
    out = LeakyReLU(0.1)(out)
    out = Conv2D(filters, 3, padding='same', kernel_regularizer=l2(1e-4))(out)
    shortcut = Conv2D(filters, 1)(tensor)
    return Activation('relu')(add([out, shortcut]))


def smooth_cross_entropy(y_true, y_pred):
    smoothed = y_true * 0.9 + 0.01
    return -tf.reduce_sum(smoothed * tf.log(tf.clip_by_value(y_pred, K.epsilon(), 1.0)), axis=-1)


def top2(y_true, y_pred):
    return tf.cast(tf.nn.in_top_k(y_pred, tf.argmax(y_true, axis=-1), 2), tf.float32)


image = Input(shape=(8, 8, 1), name='image')
left = block(image, 8)
left = MaxPooling2D()(left)
left = block(left, 12)
left = GlobalAveragePooling2D()(left)
right = Lambda(lambda t: tf.reduce_sum(t, axis=[2, 3]))(image)
right = Dense(8, activation='elu')(right)
merged = Concatenate()([left, right])
merged = Dropout(0.1, seed=5)(merged)
scores = Dense(10, activation='softmax', name='scores')(merged)
model = Model(inputs=image, outputs=scores)
model.compile(optimizer=Adam(lr=3e-3, clipnorm=1.0), loss=smooth_cross_entropy, metrics=['accuracy', top2])
print(model.count_params(), [layer.name for layer in model.layers])

report = LambdaCallback(on_epoch_end=lambda epoch, logs: print(
    'epoch %d: loss %.4f top2 %.3f, validation: loss %.4f' % (epoch, logs['loss'], logs['top2'], logs['val_loss'])))
model.fit(x[:1200], y[:1200], batch_size=100, epochs=4, verbose=0, validation_data=(x[1200:], y[1200:]),
          callbacks=[report, ReduceLROnPlateau(patience=1)])
features = K.function([model.input, K.learning_phase()], [model.layers[-3].output])
print('features %.4f' % np.mean(features([x[:50], 0])[0]))
with session.as_default():
    print('variables', len(tf.global_variables()) > 20, 'norm %.3f' % tf.norm(model.layers[-1].kernel).eval())
